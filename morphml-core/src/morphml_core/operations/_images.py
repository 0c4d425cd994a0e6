"""Operations on images: convolutions, pooling, channel attention; and self-attention over positions."""

from __future__ import annotations

from typing import Any

from morphml_core.graph.ir import Shape
from morphml_core.graph.operations import Cost, Operation, Params
from morphml_core.operations import _rules as rules
from morphml_core.operations._common import MODULES
from morphml_core.operations._rules import (
    Shapes,
    always,
    elements,
    flag,
    image,
    keep,
    mix,
    text,
    unit_stride,
    whole,
    window,
)

# convolutions -----------------------------------------------------------------------------------------


def _slide(inputs: Shapes, params: Params, channels: int) -> Shape:
    """The output shape of a convolution with padding kernel // 2 * dilation."""
    kernel, stride, dilation = whole(params, "kernel"), whole(params, "stride"), whole(params, "dilation")
    padding = kernel // 2 * dilation
    _, height, width = image(inputs)
    return channels, window(height, kernel, stride, padding, dilation), window(width, kernel, stride, padding, dilation)


def _conv_shape(inputs: Shapes, params: Params) -> Shape:
    channels, groups, into = whole(params, "channels"), whole(params, "groups"), image(inputs)[0]
    flag(params, "bias")
    for count, what in ((into, "input"), (channels, "output")):
        if count % groups:
            raise ValueError(f"{groups} groups do not divide its {count} {what} channels")
    return _slide(inputs, params, channels)


def _conv_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    taps = inputs[0][0] // params["groups"] * params["kernel"] ** 2
    return Cost(output[0] * (taps + params["bias"]), 2 * taps * elements(output), elements(output))


def _conv_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    kernel, dilation = params["kernel"], params["dilation"]
    return {
        "in_channels": inputs[0][0], "out_channels": output[0], "kernel_size": kernel, "stride": params["stride"],
        "padding": kernel // 2 * dilation, "dilation": dilation, "groups": params["groups"], "bias": params["bias"],
    }  # fmt: skip


def _plain(params: Params) -> dict[str, Any]:
    return {"groups": 1, "bias": False, **params}


def _dilated_shape(inputs: Shapes, params: Params) -> Shape:
    return _conv_shape(inputs, _plain(params))


def _dilated_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    return _conv_cost(inputs, output, _plain(params))


def _dilated_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return _conv_arguments(inputs, output, _plain(params))


def _depthwise_shape(inputs: Shapes, params: Params) -> Shape:
    flag(params, "bias")
    return _slide(inputs, params, image(inputs)[0])


def _depthwise_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    return _conv_cost(inputs, output, {**params, "groups": output[0]})


def _depthwise_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return _conv_arguments(inputs, output, {**params, "groups": output[0]})


def _separable_shape(inputs: Shapes, params: Params) -> Shape:
    return _slide(inputs, params, whole(params, "channels"))


def _separable_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    into, channels, taps = inputs[0][0], output[0], params["kernel"] ** 2
    positions = output[1] * output[2]
    return Cost(into * (taps + channels), 2 * into * (taps + channels) * positions, (into + channels) * positions)


def _separable_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    names = ("kernel", "stride", "dilation")
    return {"in_channels": inputs[0][0], "out_channels": output[0], **{name: params[name] for name in names}}


def _reduce_shape(inputs: Shapes, params: Params) -> Shape:
    _, height, width = image(inputs)
    return whole(params, "channels", 2), (height + 1) // 2, (width + 1) // 2


def _reduce_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    return Cost(inputs[0][0] * output[0], 2 * inputs[0][0] * elements(output), elements(output))


def _reduce_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"in_channels": inputs[0][0], "out_channels": output[0]}


CONVOLUTIONS = (
    Operation(
        "conv", _conv_shape, _conv_cost, "torch.nn:Conv2d", _conv_arguments,
        {"kernel": 3, "stride": 1, "dilation": 1, "groups": 1, "bias": False}, ("channels",),
        channels=lambda params: "mix" if params["groups"] == 1 else "fixed", keeps_positions=unit_stride, keeps_zero=rules.without_bias,
        summary="A convolution with padding kernel // 2 * dilation.",
    ),
    Operation(
        "depthwise_conv", _depthwise_shape, _depthwise_cost, "torch.nn:Conv2d", _depthwise_arguments,
        {"kernel": 3, "stride": 1, "dilation": 1, "bias": False}, channels=keep, keeps_positions=unit_stride, keeps_zero=rules.without_bias,
        summary="A convolution of each channel by itself.",
    ),
    Operation(
        "separable_conv", _separable_shape, _separable_cost, f"{MODULES}:SeparableConv", _separable_arguments,
        {"kernel": 3, "stride": 1, "dilation": 1}, ("channels",), channels=mix, keeps_positions=unit_stride, keeps_zero=always,
        summary="A depthwise and then a 1x1 convolution, without bias and with nothing between them (Chollet, 2017).",
    ),
    Operation(
        "dilated_conv", _dilated_shape, _dilated_cost, "torch.nn:Conv2d", _dilated_arguments,
        {"kernel": 3, "stride": 1, "dilation": 2}, ("channels",), channels=mix, keeps_positions=unit_stride, keeps_zero=always,
        summary="A convolution whose taps lie `dilation` apart (Yu and Koltun, 2016).",
    ),
    Operation(
        "factorized_reduce", _reduce_shape, _reduce_cost, f"{MODULES}:FactorizedReduce", _reduce_arguments,
        {}, ("channels",), channels=mix, keeps_zero=always,
        summary="Halves an image by two 1x1 convolutions of stride 2, one shifted by a pixel, concatenated (DARTS; Liu et al., 2019).",
    ),
)  # fmt: skip


# pooling ----------------------------------------------------------------------------------------------


def _pool_shape(inputs: Shapes, params: Params) -> Shape:
    kernel, stride = whole(params, "kernel"), whole(params, "stride")
    channels, *sizes = image(inputs)
    return (channels, *(window(size, kernel, stride, (kernel - 1) // 2) for size in sizes))


def _max_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    kernel = params["kernel"]
    return {"kernel_size": kernel, "stride": params["stride"], "padding": (kernel - 1) // 2}


def _avg_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {**_max_arguments(inputs, output, params), "count_include_pad": False}


def _one_pixel(count: int, params: Params) -> bool:
    return bool(params["kernel"] == 1 and params["stride"] == 1)


POOLS = (
    Operation(
        "max_pool", _pool_shape, rules.output_only, "torch.nn:MaxPool2d", _max_arguments, {"kernel": 3, "stride": 1},
        channels=keep, keeps_positions=unit_stride, keeps_zero=always, identity=_one_pixel, pure=True,
        summary="The largest number of each window, with padding (kernel - 1) // 2.",
    ),
    Operation(
        "avg_pool", _pool_shape, rules.output_only, "torch.nn:AvgPool2d", _avg_arguments, {"kernel": 3, "stride": 1},
        channels=keep, keeps_positions=unit_stride, keeps_zero=always, identity=_one_pixel, pure=True,
        summary="The mean of each window, with padding (kernel - 1) // 2 that is not counted.",
    ),
)  # fmt: skip


# the rest ---------------------------------------------------------------------------------------------


def _group_norm_shape(inputs: Shapes, params: Params) -> Shape:
    groups, shape = whole(params, "groups"), inputs[0]
    if len(shape) == 2:
        raise ValueError(f"it needs images or features, but its input has the shape {text(shape)}; use layer_norm")
    if shape[0] % groups:
        raise ValueError(f"{groups} groups do not divide its {shape[0]} channels")
    return shape


def _group_norm_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"num_groups": params["groups"], "num_channels": output[0]}


def _group_norm_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    return Cost(2 * output[0], 0, elements(output))


def _squeeze_shape(inputs: Shapes, params: Params) -> Shape:
    whole(params, "ratio")
    return image(inputs)


def _hidden(channels: int, params: Params) -> int:
    return max(1, channels // int(params["ratio"]))


def _squeeze_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    channels = output[0]
    hidden = _hidden(channels, params)
    weights = 2 * channels * hidden
    return Cost(weights + hidden + channels, 2 * weights, elements(output) + 2 * channels + 2 * hidden)


def _squeeze_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"channels": output[0], "hidden": _hidden(output[0], params)}


def _tokens(shape: Shape) -> tuple[int, int]:
    """The number of tokens and their width; the positions of an image are its tokens."""
    return (shape[1] * shape[2], shape[0]) if len(shape) == 3 else (shape[0], shape[1])


def _attention_shape(inputs: Shapes, params: Params) -> Shape:
    heads, shape = whole(params, "heads"), inputs[0]
    if len(shape) < 2:
        raise ValueError(f"it needs images or tokens, but its input has the shape {text(shape)}")
    width = _tokens(shape)[1]
    if width % heads:
        raise ValueError(f"{heads} heads do not divide its {width} channels")
    return shape


def _attention_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    count, width = _tokens(output)
    flops = 2 * count * 4 * width * width + 4 * count * count * width
    return Cost(4 * width * (width + 1), flops, 5 * count * width + params["heads"] * count * count)


def _attention_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"width": _tokens(output)[1], "heads": params["heads"]}


BLOCKS = (
    Operation(
        "group_norm", _group_norm_shape, _group_norm_cost, "torch.nn:GroupNorm", _group_norm_arguments, {"groups": 8},
        keeps_positions=always,
        summary="Normalisation over groups of channels, with learned scale and shift (Wu and He, 2018).",
    ),
    Operation(
        "squeeze_excite", _squeeze_shape, _squeeze_cost, f"{MODULES}:SqueezeExcite", _squeeze_arguments, {"ratio": 4},
        channels=keep, keeps_positions=always, keeps_zero=always,
        summary="Scales each channel by a gate computed from the means of all; hidden width channels // ratio (Hu et al., 2018).",
    ),
    Operation(
        "attention", _attention_shape, _attention_cost, f"{MODULES}:SelfAttention", _attention_arguments, {"heads": 4},
        channels=mix, keeps_positions=always,
        summary="Self-attention of several heads over tokens, or the positions of an image, without positional encoding (Vaswani et al., 2017).",
    ),
)  # fmt: skip
