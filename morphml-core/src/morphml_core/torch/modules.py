"""The modules that torch has no class for.  Each needs torch alone, so that an export can carry its source."""

from __future__ import annotations

import torch
from torch import nn


class Add(nn.Module):
    """The sum of its inputs, which have one shape."""

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Shapes: as the inputs."""
        for other in others:
            first = first + other
        return first


class Multiply(nn.Module):
    """The elementwise product of its inputs, which have one shape."""

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Shapes: as the inputs."""
        for other in others:
            first = first * other
        return first


class Concat(nn.Module):
    """Its inputs one after another along one axis."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Inputs of equal shape but for the axis."""
        return torch.cat(inputs, dim=self.dim)


class Zero(nn.Module):
    """Zeros in the shape of the input; with a stride, in the shape of every stride-th pixel."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) where the stride is above 1, else any shape."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return torch.zeros_like(x)


class GlobalAveragePool(nn.Module):
    """The mean over some axes."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) or (batch, tokens, width) to (batch, channels)."""
        return x.mean(dim=self.dims) if self.dims else x


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width)."""
        last = x.permute(0, 2, 3, 1)
        last = nn.functional.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        return last.permute(0, 3, 1, 2)


class SeparableConv(nn.Module):
    """A depthwise and then a 1x1 convolution."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel, stride, padding, dilation, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width)."""
        result: torch.Tensor = self.pointwise(self.depthwise(x))
        return result


class FactorizedReduce(nn.Module):
    """Halves an image by two 1x1 convolutions of stride 2, the second one pixel further (zeros beyond an odd edge)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to half of height and width, rounded up."""
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return torch.cat([self.even(x), self.odd(shifted)], dim=1)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that two dense layers compute from the means of all channels."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width)."""
        gate = torch.relu(self.squeeze(x.mean(dim=(2, 3))))
        gate = torch.sigmoid(self.excite(gate))
        return x * gate[:, :, None, None]


class SelfAttention(nn.Module):
    """Self-attention of several heads over tokens, or over the pixels of an image."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width) or (batch, width, rows, columns)."""
        tokens = x.flatten(2).transpose(1, 2) if x.dim() == 4 else x
        batch, count, width = tokens.shape
        parts = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed: torch.Tensor = nn.functional.scaled_dot_product_attention(query, key, value)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return mixed.transpose(1, 2).reshape(x.shape) if x.dim() == 4 else mixed
