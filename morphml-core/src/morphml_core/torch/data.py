"""Datasets as tensors on the device, and how samples are brought to zero mean and unit deviation."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morphml_core.protocols import Data, Split
from morphml_core.splits import cut, fraction_of, stratified_order

HOLDOUT_SEED = 0
"""The split of a dataset does not depend on the trial: every network is trained and judged on the same samples."""
_CHUNK = 4096


@attrs.frozen(eq=False)
class Scale:
    """Mean and deviation, shaped to broadcast over a batch: an input x is read as (x - mean) / deviation."""

    mean: Tensor
    deviation: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Standardised values, float32; images with their channels last in memory, as their networks have them."""
        scaled = (values.float() - self.mean) / self.deviation
        return scaled.contiguous(memory_format=torch.channels_last) if scaled.ndim == 4 else scaled

    def invert(self, values: Tensor) -> Tensor:
        """The values that `apply` would turn into these."""
        return values * self.deviation + self.mean

    def to(self, device: torch.device) -> Scale:
        """The same on another device."""
        return Scale(self.mean.to(device), self.deviation.to(device))


@attrs.frozen(eq=False)
class Samples:
    """One split on the device.  `inputs`: (n, *shape) as stored; `targets`: (n,) int64, or standardised (n, outputs)."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@attrs.frozen(eq=False)
class Prepared:
    """A dataset on one device.  `order` lists the training samples so that each prefix is stratified."""

    train: Samples
    valid: Samples
    test: Samples
    inputs: Scale
    targets: Scale
    regression: bool
    order: NDArray[np.intp]
    data: Data
    """The data as numpy arrays, with every split."""

    def subset(self, fraction: float) -> Tensor | None:
        """Indices of a stratified part of the training samples, or None for all; larger fractions hold smaller ones."""
        if fraction >= 1:
            return None
        return torch.from_numpy(fraction_of(self.order, fraction)).to(self.train.targets.device)


def complete(data: Data, holdout: float) -> Data:
    """The data with every split: a missing one is a stratified share `holdout` of the training samples."""
    missing = [holdout if split is None else 0.0 for split in (data.valid, data.test)]
    if not any(missing):
        return data
    valid, test, train = cut(data.train, missing, HOLDOUT_SEED)
    return attrs.evolve(data, train=train, valid=data.valid or valid, test=data.test or test)


def prepare(data: Data, holdout: float, standardize: bool, device: torch.device) -> Prepared:
    """Put the data on the device.  Means and deviations are those of the training split."""
    data = complete(data, holdout)
    assert data.valid is not None
    assert data.test is not None
    inputs = scale_of(data.train.inputs) if standardize else _plain(data.train.inputs)
    targets = scale_of(data.train.targets) if data.regression else Scale(torch.zeros(1), torch.ones(1))
    splits = {"train": data.train, "valid": data.valid, "test": data.test}
    return Prepared(
        **{name: _samples(split, targets, data.regression, device) for name, split in splits.items()},
        inputs=inputs.to(device),
        targets=targets.to(device),
        regression=data.regression,
        order=stratified_order(data.train.targets, HOLDOUT_SEED),
        data=data,
    )


def _samples(split: Split, scale: Scale, regression: bool, device: torch.device) -> Samples:
    targets = torch.tensor(split.targets)
    return Samples(torch.tensor(split.inputs).to(device), (scale.apply(targets) if regression else targets).to(device))


def _plain(values: NDArray[Any]) -> Scale:
    """Bytes to 0 to 1, other numbers as they are."""
    return Scale(torch.zeros(1), torch.full((1,), 255.0 if values.dtype == np.uint8 else 1.0))


def scale_of(values: NDArray[Any]) -> Scale:
    """Mean and deviation of (n, *shape): a channel each for images, otherwise a feature each (of the last axis).

    A constant channel or feature has the deviation 1.  Summed in float64, in pieces, so that no float copy of the
    whole array is made.
    """
    axis = 1 if values.ndim == 4 else values.ndim - 1
    others = tuple(i for i in range(values.ndim) if i != axis)
    count = values.size // values.shape[axis]
    pieces = [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
    shape = [values.shape[axis] if i == axis else 1 for i in range(values.ndim)]
    mean = (sum(piece.sum(axis=others, dtype=np.float64) for piece in pieces) / count).reshape(shape)
    squares = sum(np.square(piece - mean).sum(axis=others) for piece in pieces)
    deviation = np.sqrt(squares / count).reshape(shape)
    deviation = np.where(deviation > 1e-8 * np.maximum(np.abs(mean), 1e-30), deviation, 1.0)
    return Scale(torch.tensor(mean[0], dtype=torch.float32), torch.tensor(deviation[0], dtype=torch.float32))
