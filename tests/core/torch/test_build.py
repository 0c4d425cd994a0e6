import io

import pytest
from hypothesis import given, settings

torch = pytest.importorskip("torch")

from torch import nn

from morphml_core.errors import GraphError, ShapeError
from morphml_core.graph.canonical import effective
from morphml_core.graph.cost import cost
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.graph.operations import Operation, OperationSet, Signature
from morphml_core.graph.shapes import lower
from morphml_core.operations.vision import vision
from morphml_core.testing.graphs import networks
from morphml_core.torch.build import build, make_module

VISION = vision()
SMALL = Signature((8, 6, 6), 3)


def residual():
    builder = GraphBuilder()
    x = builder.add("conv", builder.add("input"), channels=8)
    y = builder.add("relu", builder.add("batch_norm", builder.add("conv", x, channels=16, stride=2)))
    builder.add("batch_norm", builder.add("conv", y, channels=4))  # dead
    builder.add("output", builder.add("add", x, y))
    return builder.graph()


@settings(max_examples=40, deadline=None)
@given(networks(VISION))
def test_any_network_that_can_be_lowered_can_be_built_run_and_trained(graph):
    try:
        lowered = lower(graph, VISION, SMALL)
    except ShapeError:
        return
    network = build(lowered, seed=1)
    assert sum(p.numel() for p in network.parameters()) == cost(lowered).parameters
    shapes = {name: node.shape for name, node in zip(names(lowered), lowered.nodes, strict=True)}
    seen = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: tuple(output.shape[1:])})
        )
    output = network(torch.randn(4, *SMALL.shape))
    assert output.shape == (4, 3)
    output.sum().backward()
    assert seen == {name: shapes[name] for name in seen}
    assert set(seen) == {name for name, node in zip(names(lowered), lowered.nodes, strict=True) if node.live} - {
        "input_0"
    }


def names(lowered):
    return [f"{node.operation.name}_{index}" for index, node in enumerate(lowered.nodes)]


MENU = (
    ("conv", {"channels": 4}), ("conv", {"channels": 4, "kernel": 1}), ("conv", {"channels": 4, "bias": True}),
    ("batch_norm", {}), ("relu", {}), ("sigmoid", {}), ("avg_pool", {}), ("dropout", {"rate": 0}), ("identity", {}), ("zero", {}),
    ("add", {}), ("add", {}), ("multiply", {}),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(networks(VISION, MENU, most=8))
def test_the_effective_graph_computes_what_the_graph_says(graph):
    """Against running the graph as it stands, node by node.  Nodes of equal operation get equal weights on both sides."""
    signature = Signature((4, 5, 5), 2)
    x = torch.randn(3, *signature.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network = build(lower(effective(graph, VISION), VISION, signature)).double().eval()
    for module in network.children():
        alike(module)
    torch.testing.assert_close(network(x), as_written(graph, signature, x))


def as_written(graph, signature, x):
    values = []
    for node in graph.nodes:
        inputs = [values[source] for source in node.inputs]
        if node.op == "input":
            values.append(x)
        elif node.op == "output":
            head = nn.Linear(4, signature.outputs).double()
            values.append(alike(head)(sum(inputs).mean(dim=(2, 3))))
        else:
            operation = VISION[node.op]
            params, shapes = operation.complete(node.params), (signature.shape,) * len(inputs)
            name = operation.module_name(shapes, signature.shape, params).rpartition(":")[2]
            module = getattr(nn, name) if hasattr(nn, name) else {"Zero": Zeros, "Add": Sum, "Multiply": Product}[name]
            arguments = operation.arguments(shapes, signature.shape, params)
            made = alike(module(**arguments).double().eval())
            values.append(made(*inputs) if operation.arity is None else made(sum(inputs)))
    return values[-1]


class Zeros(nn.Module):
    def __init__(self, stride):
        super().__init__()

    def forward(self, x):
        return x * 0


class Sum(nn.Module):
    def forward(self, *inputs):
        return sum(inputs)


class Product(nn.Module):
    def forward(self, *inputs):
        return torch.stack(inputs).prod(dim=0)


def alike(module):
    """Weights that depend on the kind of the module and their own shape only."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            seed = len(type(module).__name__) * 1000 + len(name) * 100 + tensor.numel()
            values = torch.rand(tensor.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            tensor.copy_(values - (0.0 if "var" in name else 0.4))
    return module


def test_a_seed_decides_the_weights_and_leaves_torchs_generator_alone():
    lowered = lower(residual(), VISION, SMALL)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = build(lowered, seed=3), build(lowered, seed=3), build(lowered, seed=4)
    assert torch.equal(before, torch.get_rng_state())
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert not torch.equal(first.conv_1.weight, other.conv_1.weight)
    torch.manual_seed(3)
    assert torch.equal(build(lowered).conv_1.weight, first.conv_1.weight)


def test_dead_nodes_have_weights_and_do_not_run():
    lowered = lower(residual(), VISION, SMALL)
    network = build(lowered, seed=0)
    ran = []
    for name, module in network.named_children():
        module.register_forward_hook(lambda module, inputs, output, name=name: ran.append(name))
    network(torch.randn(2, 8, 6, 6))
    assert [name for name, _ in network.named_children() if name not in ran] == ["conv_5", "batch_norm_6"]
    assert ran == ["conv_1", "conv_2", "batch_norm_3", "relu_4", "project_7", "add_8", "global_avg_pool_9", "dense_10"]


def test_a_tensor_goes_when_its_last_reader_has_run():
    """Without gradients a chain needs two tensors at once, however long it is."""
    builder = GraphBuilder()
    x = builder.add("input")
    for _ in range(20):
        x = builder.add("conv", x, channels=8)
    builder.add("output", x)
    network = build(lower(builder.graph(), VISION, SMALL), seed=0)
    alive, most = set(), 0

    class Watched(torch.Tensor):
        def __del__(self):
            alive.discard(id(self))

    def watch(module, inputs, output):
        nonlocal most
        output = output.as_subclass(Watched)
        alive.add(id(output))
        most = max(most, len(alive))
        return output

    for module in network.children():
        module.register_forward_hook(watch)
    with torch.no_grad():
        network(torch.randn(1, 8, 6, 6))
    assert most == 2


def test_it_can_be_exported_pickled_and_copied():
    import copy

    network = build(lower(residual(), VISION, SMALL), seed=0).eval()
    x = torch.randn(2, 8, 6, 6)
    expected = network(x)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(network, (x,), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(exported.module()(x), expected)
    assert exported.module()(torch.randn(5, 8, 6, 6)).shape == (5, 3)
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(x), expected)
    assert torch.equal(copy.deepcopy(network)(x), expected)


@settings(max_examples=4, deadline=None)
@given(networks(VISION))
def test_any_network_can_be_exported(graph):
    try:
        lowered = lower(graph, VISION, SMALL)
    except ShapeError:
        return
    network = build(lowered, seed=0).eval()
    x = torch.randn(2, *SMALL.shape)
    exported = torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    torch.testing.assert_close(exported.module()(x), network(x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_can_be_captured_in_a_cuda_graph():
    network = build(lower(residual(), VISION, SMALL), seed=0).cuda().eval()
    x = torch.randn(2, 8, 6, 6, device="cuda")
    stream = torch.cuda.Stream()
    with torch.no_grad():
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            expected = network(x).clone()
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            output = network(x)
    captured.replay()
    torch.testing.assert_close(output, expected)


def test_a_class_that_does_not_exist_is_told():
    def nowhere(name):
        operation = Operation(
            "mine", lambda inputs, params: inputs[0], VISION["relu"].cost, name, VISION["relu"].arguments
        )
        graph = Graph.from_json(
            [
                {"op": "input", "inputs": [], "params": {}},
                {"op": "mine", "inputs": [0], "params": {}},
                {"op": "output", "inputs": [1], "params": {}},
            ]
        )
        return lower(graph, OperationSet("mine", [operation, VISION["dense"]]), Signature((4,), 2)).nodes[1]

    with pytest.raises(GraphError) as error:
        make_module(nowhere("torch.nn:ReLUU"))
    assert str(error.value).startswith("operation 'mine' names the class 'torch.nn:ReLUU', which cannot be imported: ")
    with pytest.raises(GraphError) as error:
        make_module(nowhere("no_such_module:Thing"))
    assert str(error.value) == (
        "operation 'mine' names the class 'no_such_module:Thing', which cannot be imported: No module named 'no_such_module'"
    )
