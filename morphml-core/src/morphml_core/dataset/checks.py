"""What the datasets check before they hand arrays on, and the options that several of them share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import EvaluationError
from morphml_core.protocols import Split


def refuse(message: str) -> EvaluationError:
    """The error for data that cannot be used."""
    return EvaluationError("error", message)


fraction: Any = attrs.validators.and_(attrs.validators.ge(0), attrs.validators.lt(1))
"""A validator: a share of the samples, from 0 to below 1."""


def shares(config: Any) -> None:
    """Checks that `config.valid` and `config.test` leave something to train on.  Raises `ValueError`."""
    if config.valid + config.test >= 1:
        raise ValueError(
            f"valid and test take {config.valid:g} and {config.test:g} of the samples, which leaves none to train on"
        )


def existing(path: Path, what: str, advice: str) -> Path:
    """The path, where it exists."""
    if not path.exists():
        raise refuse(f"{what} {path} does not exist; {advice}")
    return path


def sound(inputs: NDArray[Any], targets: NDArray[Any], where: str) -> Split:
    """The arrays as a `Split`: uint8 or float32 inputs, int64 or (n, outputs) float32 targets.

    Refuses lengths that differ, no samples, types that are no numbers, and values that are not finite.
    """
    if len(inputs) != len(targets):
        raise refuse(f"{where} has {len(inputs)} inputs but {len(targets)} targets; they must be as many")
    if len(inputs) == 0:
        raise refuse(f"{where} has no samples")
    if inputs.ndim < 2:
        raise refuse(f"{where} has inputs of shape {inputs.shape}; needed is (samples, ...) with at least two axes")
    inputs = inputs if inputs.dtype == np.uint8 else _floats(inputs, f"the inputs of {where}")
    if np.issubdtype(targets.dtype, np.integer):
        return Split(np.ascontiguousarray(inputs), targets.astype(np.int64))
    targets = _floats(targets, f"the targets of {where}")
    return Split(np.ascontiguousarray(inputs), targets.reshape(len(targets), -1))


def _floats(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    if values.dtype.kind not in "biuf":
        raise refuse(f"{where} have the type {values.dtype}; needed are numbers")
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(found))
    if len(wrong):
        raise refuse(
            f"{where} have {values[tuple(wrong[0])]} at {tuple(wrong[0].tolist())}; every value must be a finite number"
        )
    return found


def encode(targets: NDArray[Any], classes: Sequence[Any], where: str) -> NDArray[np.int64]:
    """The positions of the targets in `classes`.  Refuses a target that is not one of them."""
    known = np.asarray(classes)
    places = np.clip(np.searchsorted(known, targets), 0, len(known) - 1)
    unknown = known[places] != targets
    if unknown.any():
        raise refuse(f"{where} has the class {targets[unknown][0]!s}, which the training samples do not have")
    return places.astype(np.int64)
