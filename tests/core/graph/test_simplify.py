from morphml_core.graph.ir import GraphBuilder
from morphml_core.graph.simplify import simplify
from morphml_core.operations.vision import vision


def test_nodes_keep_their_places_and_say_what_they_serve():
    builder = GraphBuilder()
    x = builder.add("input")
    a = builder.add("conv", x, channels=8)
    b = builder.add("identity", a)
    builder.add("tanh", b)  # dead
    c = builder.add("relu", b, x)
    builder.add("output", c)
    found = simplify(builder.graph(), vision())
    assert [(node.op, node.inputs) for node in found.nodes] == [
        ("input", ()), ("conv", (0,)), ("tanh", (1,)), ("add", (1, 0)), ("relu", (3,)), ("output", (4,)),
    ]  # fmt: skip
    assert found.origin == (0, 1, 3, 4, 4, 5)
    assert found.live == (True, True, False, True, True, True)
    assert not any(found.zero)


def test_zeros_are_known_and_replaced_weights_stay_dead():
    builder = GraphBuilder()
    x = builder.add("conv", builder.add("input"), channels=8)
    zero = builder.add("conv", builder.add("zero", x), channels=8)
    builder.add("output", builder.add("batch_norm", zero))
    found = simplify(builder.graph(), vision())
    rows = zip(found.nodes, found.live, found.zero, strict=True)
    assert [(node.op, node.inputs, live, zero) for node, live, zero in rows] == [
        ("input", (), True, False),
        ("conv", (0,), True, False),
        ("zero", (1,), True, True),
        ("conv", (2,), False, True),
        ("batch_norm", (2,), True, False),
        ("output", (4,), True, False),
    ]


def test_a_shape_that_is_not_surely_the_same_keeps_what_makes_it():
    """A pooling of even size changes the height and width, so the zero below it stays where it is."""
    builder = GraphBuilder()
    x = builder.add("conv", builder.add("input"), channels=8)
    pooled = builder.add("max_pool", builder.add("zero", x), kernel=2, stride=2)
    builder.add("output", builder.add("batch_norm", pooled))
    found = simplify(builder.graph(), vision())
    assert [node.op for node, live in zip(found.nodes, found.live, strict=True) if live] == [
        "input", "conv", "zero", "max_pool", "batch_norm", "output",
    ]  # fmt: skip


def test_the_earliest_node_of_a_shape_is_found_also_where_it_is_read_twice():
    builder = GraphBuilder()
    x = builder.add("conv", builder.add("input"), channels=8)
    doubled = builder.add("add", x, x, builder.add("sigmoid", x))
    zero = builder.add("relu", builder.add("zero", doubled))
    builder.add("output", builder.add("concat", doubled, builder.add("batch_norm", zero)))
    found = simplify(builder.graph(), vision())
    assert [node.inputs for node, live in zip(found.nodes, found.live, strict=True) if live and node.op == "zero"] == [
        (1,)
    ]
