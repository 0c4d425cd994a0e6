"""Stratified splits of samples: the same seed gives the same split on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morphml_core.graph.operations import Signature
from morphml_core.protocols import Data, Split


def stratified_order(targets: NDArray[Any], seed: int) -> NDArray[np.intp]:
    """A random order of the samples in which every stretch holds the classes in nearly their shares.

    `targets`: (n,) whole numbers; targets of any other type are regression, and the order is a plain permutation.
    So prefixes of growing length are nested, stratified subsets.
    """
    rng = np.random.default_rng(seed)
    if not np.issubdtype(targets.dtype, np.integer):
        return rng.permutation(len(targets))
    keys = np.empty(len(targets))
    for label in np.unique(targets):
        members = np.flatnonzero(targets == label)
        keys[members] = (rng.permutation(len(members)) + rng.random()) / len(members)
    return np.argsort(keys, kind="stable")


def fraction_of(order: NDArray[np.intp], fraction: float) -> NDArray[np.intp]:
    """The first `fraction` of an order, at least one sample, sorted."""
    return np.sort(order[: max(1, round(fraction * len(order)))])


def cut(split: Split, fractions: Sequence[float], seed: int) -> list[Split]:
    """Disjoint stratified parts of a split, one a fraction, and last what remains.  Samples keep their order."""
    order = stratified_order(split.targets, seed)
    ends = np.cumsum([round(fraction * len(order)) for fraction in fractions], dtype=np.intp)
    return [take(split, np.sort(part)) for part in np.split(order, ends)]


def take(split: Split, indices: NDArray[np.intp]) -> Split:
    """The samples at these indices."""
    return Split(split.inputs[indices], split.targets[indices])


def three_way(
    split: Split,
    valid: float,
    test: float,
    seed: int,
    outputs: int,
    classes: Sequence[str] = (),
    regression: bool = False,
) -> Data:
    """The data of one array: stratified into train, valid and test; a fraction of 0 leaves that split None."""
    valid_part, test_part, train = cut(split, (valid, test), seed)
    return Data(
        train,
        valid_part if valid else None,
        test_part if test else None,
        Signature(split.inputs.shape[1:], outputs),
        regression,
        tuple(classes),
    )
