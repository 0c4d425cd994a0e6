"""The module behind the operation `truncate` of the space `nasbench101`."""

from __future__ import annotations

import torch


class Truncate(torch.nn.Module):
    """The first channels of images: (batch, more, height, width) to (batch, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Cut the channels."""
        return inputs[:, : self.channels]
