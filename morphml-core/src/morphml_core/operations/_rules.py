"""What the operations share: checks of shapes and parameters, and the usual costs."""

from __future__ import annotations

import math
from typing import Any

from morphml_core.graph.ir import Shape
from morphml_core.graph.operations import Cost, Params

Shapes = tuple[Shape, ...]


def text(shape: Shape) -> str:
    """A shape as people write it: 16x32x32."""
    return "x".join(map(str, shape))


def whole(params: Params, name: str, least: int = 1) -> int:
    """A parameter that is a whole number, at least `least`.  Raises `ValueError`."""
    value = params[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, but it is {value!r}")
    return value


def flag(params: Params, name: str) -> bool:
    """A parameter that is true or false.  Raises `ValueError`."""
    value = params[name]
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, but it is {value!r}")
    return value


def image(inputs: Shapes) -> tuple[int, int, int]:
    """The one input as (channels, height, width).  Raises `ValueError` for any other rank."""
    if len(inputs[0]) != 3:
        raise ValueError(f"it needs images (channels, height, width), but its input has the shape {text(inputs[0])}")
    channels, height, width = inputs[0]
    return channels, height, width


def window(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many positions a sliding window has along one axis.  Raises `ValueError` where it has none."""
    reach = dilation * (kernel - 1) + 1
    if size + 2 * padding < reach:
        dilated = f" (with dilation {dilation})" if dilation > 1 else ""
        raise ValueError(
            f"a kernel of {reach}{dilated} is larger than its input of {size} with padding {padding} on both sides"
        )
    return (size + 2 * padding - reach) // stride + 1


def same(inputs: Shapes, params: Params) -> Shape:
    """The shape of the one input."""
    return inputs[0]


def elements(shape: Shape) -> int:
    """How many numbers a tensor of that shape holds."""
    return math.prod(shape)


def output_only(inputs: Shapes, output: Shape, params: Params) -> Cost:
    """The cost of an operation without weights: it keeps its output."""
    return Cost(0, 0, elements(output))


def free(inputs: Shapes, output: Shape, params: Params) -> Cost:
    """The cost of an operation that keeps nothing: it returns a view or a constant."""
    return Cost()


def no_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    """For a class that is made without arguments."""
    return {}


def keep(params: Params) -> str:
    """Each output channel depends on its own input channel, or on all alike."""
    return "keep"


def mix(params: Params) -> str:
    """Each output channel depends on all input channels with weights of its own."""
    return "mix"


def always(params: Params) -> bool:
    """For `keeps_zero` and `keeps_positions`."""
    return True


def without_bias(params: Params) -> bool:
    """For `keeps_zero`: a linear map without bias."""
    return not params["bias"]


def unit_stride(params: Params) -> bool:
    """For `keeps_positions`: a window of odd size, or of no size, that moves one by one."""
    kernel = params.get("kernel", 1)
    return params.get("stride", 1) == 1 and isinstance(kernel, int) and kernel % 2 == 1
