"""Operations of both sets: dense layers, normalisation, activations, dropout, and the joints of a graph."""

from __future__ import annotations

from typing import Any

from morphml_core.graph.ir import Shape
from morphml_core.graph.operations import Cost, Operation, Params
from morphml_core.operations import _rules as rules
from morphml_core.operations._rules import Shapes, always, elements, flag, image, keep, mix, text, whole

MODULES = "morphml_core.torch.modules"


# dense, project, flatten, pooling to one position ------------------------------------------------------


def _dense_shape(inputs: Shapes, params: Params) -> Shape:
    flag(params, "bias")
    if len(inputs[0]) == 3:
        raise ValueError(
            f"it needs features or tokens, but its input has the shape {text(inputs[0])}; flatten it first"
        )
    return (*inputs[0][:-1], whole(params, "units"))


def _dense_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    into, units = inputs[0][-1], output[-1]
    return Cost(into * units + units * params["bias"], 2 * into * elements(output), elements(output))


def _dense_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"in_features": inputs[0][-1], "out_features": output[-1], "bias": params["bias"]}


def _project_shape(inputs: Shapes, params: Params) -> Shape:
    channels, stride = whole(params, "channels"), whole(params, "stride")
    if len(inputs[0]) == 3:
        return (channels, *((size - 1) // stride + 1 for size in inputs[0][1:]))
    if stride != 1:
        raise ValueError(f"only images can be projected with a stride, but its input has the shape {text(inputs[0])}")
    return (*inputs[0][:-1], channels)


def _project_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    into = inputs[0][0] if len(inputs[0]) == 3 else inputs[0][-1]
    return Cost(into * params["channels"], 2 * into * elements(output), elements(output))


def _project_module(inputs: Shapes, output: Shape, params: Params) -> str:
    return "torch.nn:Conv2d" if len(inputs[0]) == 3 else "torch.nn:Linear"


def _project_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    if len(inputs[0]) < 3:
        return {"in_features": inputs[0][-1], "out_features": output[-1], "bias": False}
    return {
        "in_channels": inputs[0][0], "out_channels": output[0], "kernel_size": 1, "stride": params["stride"], "bias": False,
    }  # fmt: skip


def _flatten_shape(inputs: Shapes, params: Params) -> Shape:
    return (elements(inputs[0]),)


def _pool_shape(inputs: Shapes, params: Params) -> Shape:
    shape = inputs[0]
    return (shape[0],) if len(shape) == 3 else (shape[-1],)


def _pool_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"dims": {1: (), 2: (1,), 3: (2, 3)}[len(inputs[0])]}


DENSE = Operation(
    "dense", _dense_shape, _dense_cost, "torch.nn:Linear", _dense_arguments, {"bias": True}, ("units",),
    channels=mix, keeps_zero=rules.without_bias,
    summary="A fully connected layer with `units` outputs; on tokens, the same one for each.",
)  # fmt: skip
PROJECT = Operation(
    "project", _project_shape, _project_cost, _project_module, _project_arguments, {"stride": 1}, ("channels",),
    channels=mix, keeps_positions=rules.unit_stride, keeps_zero=always,
    summary="A linear map of the channels without bias: a 1x1 convolution on images (with a stride), else a dense layer.",
)  # fmt: skip
FLATTEN = Operation(
    "flatten", _flatten_shape, rules.free, "torch.nn:Flatten", rules.no_arguments,
    channels=keep, keeps_zero=always, pure=True,
    summary="All numbers of a sample as one vector of features.",
)  # fmt: skip
GLOBAL_AVG_POOL = Operation(
    "global_avg_pool", _pool_shape, rules.output_only, f"{MODULES}:GlobalAveragePool", _pool_arguments,
    channels=keep, keeps_zero=always, pure=True,
    summary="The mean over all positions of an image, or over all tokens: one number a channel.",
)  # fmt: skip


# normalisation ----------------------------------------------------------------------------------------


def _batch_norm_shape(inputs: Shapes, params: Params) -> Shape:
    if len(inputs[0]) == 2:
        raise ValueError(f"it needs images or features, but its input has the shape {text(inputs[0])}; use layer_norm")
    return inputs[0]


def _batch_norm_module(inputs: Shapes, output: Shape, params: Params) -> str:
    return "torch.nn:BatchNorm2d" if len(inputs[0]) == 3 else "torch.nn:BatchNorm1d"


def _batch_norm_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"num_features": output[0]}


def _affine_cost(inputs: Shapes, output: Shape, params: Params) -> Cost:
    return Cost(2 * (output[0] if len(output) == 3 else output[-1]), 0, elements(output))


def _layer_norm_module(inputs: Shapes, output: Shape, params: Params) -> str:
    return f"{MODULES}:ChannelNorm" if len(inputs[0]) == 3 else "torch.nn:LayerNorm"


def _layer_norm_arguments(inputs: Shapes, output: Shape, params: Params) -> dict[str, Any]:
    return {"channels": output[0]} if len(output) == 3 else {"normalized_shape": output[-1]}


BATCH_NORM = Operation(
    "batch_norm", _batch_norm_shape, _affine_cost, _batch_norm_module, _batch_norm_arguments, channels=keep, keeps_positions=always,
    summary="Batch normalisation with learned scale and shift (Ioffe and Szegedy, 2015).",
)  # fmt: skip
LAYER_NORM = Operation(
    "layer_norm", rules.same, _affine_cost, _layer_norm_module, _layer_norm_arguments, channels=keep, keeps_positions=always,
    summary="Layer normalisation over the channels of each position, with learned scale and shift (Ba et al., 2016).",
)  # fmt: skip


# activations, dropout ---------------------------------------------------------------------------------


def activation(name: str, module: str, summary: str, zero: bool = True) -> Operation:
    """An elementwise function without parameters; `zero` tells whether it maps 0 to 0."""
    return Operation(
        name, rules.same, rules.output_only, module, rules.no_arguments,
        channels=keep, keeps_positions=always, keeps_zero=lambda params: zero, pure=True, summary=summary,
    )  # fmt: skip


ACTIVATIONS = (
    activation("relu", "torch.nn:ReLU", "max(x, 0)."),
    activation("leaky_relu", "torch.nn:LeakyReLU", "x where positive, 0.01 x elsewhere."),
    activation("elu", "torch.nn:ELU", "x where positive, exp(x) - 1 elsewhere (Clevert et al., 2016)."),
    activation("gelu", "torch.nn:GELU", "x times the normal distribution function of x (Hendrycks and Gimpel, 2016)."),
    activation("silu", "torch.nn:SiLU", "x times the sigmoid of x, also called swish (Elfwing et al., 2018)."),
    activation("tanh", "torch.nn:Tanh", "The hyperbolic tangent."),
    activation("sigmoid", "torch.nn:Sigmoid", "1 / (1 + exp(-x)).", zero=False),
)


def _dropout_shape(inputs: Shapes, params: Params) -> Shape:
    rate = params["rate"]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ValueError(f"rate must be a number from 0 to below 1, but it is {rate!r}")
    return inputs[0]


DROPOUT = Operation(
    "dropout", _dropout_shape, rules.output_only, "torch.nn:Dropout", lambda inputs, output, params: {"p": float(params["rate"])},
    {"rate": 0.1}, channels=keep, keeps_positions=always, keeps_zero=always, identity=lambda count, params: params["rate"] == 0,
    summary="Sets each number to zero with probability `rate` while training, and scales the others up (Srivastava et al., 2014).",
)  # fmt: skip


# joints -----------------------------------------------------------------------------------------------


def _equal_shape(inputs: Shapes, params: Params) -> Shape:
    for shape in inputs:
        if shape != inputs[0]:
            raise ValueError(f"its inputs need equal shapes, but they have {' and '.join(map(text, inputs))}")
    return inputs[0]


def _concat_shape(inputs: Shapes, params: Params) -> Shape:
    if len({(len(shape), shape[1:] if len(shape) == 3 else shape[:-1]) for shape in inputs}) > 1:
        raise ValueError(
            f"its inputs may differ in channels only, but they have the shapes {' and '.join(map(text, inputs))}"
        )
    if len(inputs[0]) == 3:
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])
    return (*inputs[0][:-1], sum(shape[-1] for shape in inputs))


def _zero_shape(inputs: Shapes, params: Params) -> Shape:
    stride = whole(params, "stride")
    if stride > 1:
        channels, *sizes = image(inputs)
        return (channels, *((size - 1) // stride + 1 for size in sizes))
    return inputs[0]


def _alone(count: int, params: Params) -> bool:
    return count == 1


IDENTITY = Operation(
    "identity", rules.same, rules.free, "torch.nn:Identity", rules.no_arguments,
    channels=keep, keeps_zero=always, identity=lambda count, params: True, pure=True,
    summary="Its input.",
)  # fmt: skip
ZERO = Operation(
    "zero", _zero_shape, rules.free, f"{MODULES}:Zero", lambda inputs, output, params: {"stride": params["stride"]}, {"stride": 1},
    channels=keep, keeps_positions=rules.unit_stride, keeps_zero=always, pure=True,
    summary="Zeros in the shape of its input, with a stride where images shrink: no connection.",
)  # fmt: skip
ADD = Operation(
    "add", _equal_shape, rules.output_only, f"{MODULES}:Add", rules.no_arguments,
    arity=None, commutative=True, keeps_positions=always, keeps_zero=always, identity=_alone, pure=True,
    summary="The sum of its inputs; lowering projects those of other shapes first.",
)  # fmt: skip
MULTIPLY = Operation(
    "multiply", _equal_shape, rules.output_only, f"{MODULES}:Multiply", rules.no_arguments,
    arity=None, commutative=True, keeps_positions=always, keeps_zero=always, identity=_alone, pure=True,
    summary="The elementwise product of its inputs; lowering projects those of other shapes first.",
)  # fmt: skip
CONCAT = Operation(
    "concat", _concat_shape, rules.output_only, f"{MODULES}:Concat",
    lambda inputs, output, params: {"dim": 1 if len(output) == 3 else len(output)},
    arity=None, commutative=True, permutes=True, channels=keep, keeps_zero=always, identity=_alone, pure=True,
    summary="The channels of all inputs, one after another; lowering shrinks larger images first.",
)  # fmt: skip

COMMON = (
    DENSE, PROJECT, FLATTEN, GLOBAL_AVG_POOL, BATCH_NORM, LAYER_NORM, *ACTIVATIONS, DROPOUT, IDENTITY, ZERO, ADD, CONCAT,
)  # fmt: skip
"""The operations that make sense for features, tokens and images."""
