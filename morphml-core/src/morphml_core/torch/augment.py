"""Random changes to a batch of images: shifts, flips and holes, drawn for a whole epoch and applied to a whole batch."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Generator, Tensor
from torch.nn import functional

POLICIES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "shift": frozenset(("shift",)),
    "flip": frozenset(("flip",)),
    "flip_crop": frozenset(("shift", "flip")),
    "cutout": frozenset(("shift", "hole")),
    "flip_crop_cutout": frozenset(("shift", "flip", "hole")),
}
"""What each value of the option `augmentation` does.

shift: up to an eighth of the side, in both directions, zeros moving in (with a flip: the usual crop of CIFAR training).
flip: left and right exchanged, in one half of the images.  hole: a square of half the side set to zero (DeVries and
Taylor, 2017).  Zero is the stored zero: black.
"""


@attrs.frozen(eq=False)
class Draws:
    """The random numbers of an epoch, for each step and sample.

    `shift`: (steps, batch, 2) pixels; `flip`: (steps, batch); `hole`: (steps, batch, 2) centre.  None where not wanted.
    """

    shift: Tensor | None = None
    flip: Tensor | None = None
    hole: Tensor | None = None


def reach(shape: tuple[int, ...]) -> int:
    """How far images of this shape are shifted, in pixels."""
    return max(1, min(shape[-2:]) // 8)


def draw(policy: str, shape: tuple[int, ...], steps: int, batch: int, generator: Generator) -> Draws:
    """Draw the changes of an epoch for images of `shape` (channels, height, width), on the generator's device."""
    wanted, size = POLICIES[policy], (steps, batch)
    shift = flip = hole = None
    if "shift" in wanted:
        most = reach(shape)
        shift = torch.randint(-most, most + 1, (*size, 2), generator=generator)
    if "flip" in wanted:
        flip = torch.randint(0, 2, size, generator=generator)
    if "hole" in wanted:
        units = torch.rand((*size, 2), generator=generator)
        hole = (units * torch.tensor(shape[-2:], dtype=torch.float32)).long()
    return Draws(shift, flip, hole)


def augment(images: Tensor, draws: Draws) -> Tensor:
    """Apply the draws of one step to (batch, channels, height, width), of any type."""
    if draws.shift is not None or draws.flip is not None:
        images = _moved(images, draws.shift, draws.flip)
    return images if draws.hole is None else _with_holes(images, draws.hole)


def _moved(images: Tensor, shift: Tensor | None, flip: Tensor | None) -> Tensor:
    """One gather for both: shifts read from a padded copy, flips read the columns backwards."""
    batch, _, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(batch, height)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    if flip is not None:
        columns = torch.where(flip[:, None] == 1, width - 1 - columns, columns)
    if shift is not None:
        most = reach(tuple(images.shape[1:]))
        images = functional.pad(images, (most, most, most, most))
        rows, columns = rows + (shift[:, :1] + most), columns + (shift[:, 1:] + most)
    samples = torch.arange(batch, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[samples, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _with_holes(images: Tensor, centre: Tensor) -> Tensor:
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - centre[:, :1]
    columns = torch.arange(width, device=images.device) - centre[:, 1:]
    inside = (-height <= 4 * rows)[:, :, None] & (4 * rows < height)[:, :, None]
    inside = inside & (-width <= 4 * columns)[:, None, :] & (4 * columns < width)[:, None, :]
    return images.masked_fill(inside[:, None], 0)
