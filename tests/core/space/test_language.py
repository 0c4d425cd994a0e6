import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.errors import ConfigurationError, SpaceError
from morphml_core.operations.tabular import tabular
from morphml_core.space.blocks import Chain, Op, Pick
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.space.language import (
    block,
    branch,
    cell,
    chain,
    choice,
    integer,
    op,
    optional,
    real,
    repeat,
    residual,
    space,
    subset,
)  # fmt: skip


def paths(network, **more):
    return [decision.path for decision in space(network, **more).decisions.decisions]


def drawn(network, **values):
    """The raw graph as text, for values by path (dots written as __)."""
    searched = space(network)
    genotype = searched.decisions.genotype({path.replace("__", "."): value for path, value in values.items()})
    nodes = searched.raw_graph(genotype).nodes
    return " ".join(f"{node.op}{list(node.inputs) if node.inputs else ''}" for node in nodes)


def test_domains():
    assert choice(1, 2) == Choice((1, 2))
    assert integer(1, 3, log=True) == Integer(1, 3, True)
    assert real(0, 1) == Real(0.0, 1.0)
    assert subset("a", "b", minimum=1) == Subset(("a", "b"), 1)


def test_what_stands_for_a_block():
    assert block("relu") == Op("relu")
    assert block(["relu", ["gelu"]]) == Chain((Op("relu"), Chain((Op("gelu"),))))
    assert block(choice("relu", "gelu")) == Pick((Op("relu"), Op("gelu")))
    assert choice("relu", ["gelu"], name="act") == Pick((Op("relu"), Chain((Op("gelu"),))), name="act")
    assert block(op("relu")) == Op("relu")


def test_parameters_of_operations():
    network = op("conv", channels=choice(8, 16), kernel=3, stride=1)
    assert paths(network) == ["conv.channels"]
    searched = space(network)
    node = searched.raw_graph(searched.decisions.genotype({"conv.channels": 16})).nodes[1]
    assert node.params == (("channels", 16), ("kernel", 3), ("stride", 1))


def test_neighbours_that_are_called_the_same_are_numbered():
    conv = op("conv", channels=choice(8, 16))
    named = op("conv", channels=choice(8, 16), name="conv2")
    assert paths([conv, named, conv, [conv, conv]]) == [
        "conv.channels", "conv2.channels", "conv3.channels", "chain.conv.channels", "chain.conv2.channels",
    ]  # fmt: skip


def test_names_stand_in_paths():
    conv = op("conv", channels=choice(8, 16), name="first")
    assert paths(chain(conv, name="net")) == ["net.first.channels"]
    assert paths(residual(conv, name="block")) == ["block.first.channels"]
    assert paths(residual(chain(conv, name="inside"))) == ["residual.inside.first.channels"]


def test_repeat():
    conv = op("conv", channels=choice(8, 16))
    assert paths(repeat(conv, 2)) == ["repeat.1.conv.channels", "repeat.2.conv.channels"]
    assert paths(repeat(conv, 2, share=True, name="s")) == ["s.conv.channels"]
    assert paths(repeat(conv, 0)) == []
    assert drawn(repeat("relu", 3)) == "input relu[0] relu[1] relu[2] output[3]"
    assert drawn(repeat("relu", integer(0, 3)), repeat__count=2) == "input relu[0] relu[1] output[2]"
    assert drawn(repeat("relu", choice(0, 3)), repeat__count=0) == "input output[0]"


def test_decisions_of_a_repetition_are_active_while_the_count_reaches_it():
    searched = space(repeat(op("conv", channels=choice(8, 16)), choice(1, 2, 4)))
    found = {d.path: (d.parent, d.when) for d in searched.decisions.decisions}
    assert found == {
        "repeat.count": (None, ()),
        "repeat.1.conv.channels": (None, ()),
        "repeat.2.conv.channels": ("repeat.count", (2, 4)),
        "repeat.3.conv.channels": ("repeat.count", (4,)),
        "repeat.4.conv.channels": ("repeat.count", (4,)),
    }


def test_shared_repetitions_have_one_set_of_decisions():
    network = repeat(op("conv", channels=choice(8, 16)), integer(0, 3), share=True)
    searched = space(network)
    assert [(d.path, d.when) for d in searched.decisions.decisions] == [
        ("repeat.count", ()),
        ("repeat.conv.channels", (1, 2, 3)),
    ]
    genotype = searched.decisions.genotype({"repeat.count": 3, "repeat.conv.channels": 16})
    assert [node.param("channels") for node in searched.raw_graph(genotype).nodes[1:4]] == [16, 16, 16]


def test_conditions_nest():
    searched = space(repeat(optional(op("conv", channels=choice(8, 16))), integer(1, 2)))
    found = [(d.path, d.parent, d.when) for d in searched.decisions.decisions]
    assert found[3:] == [
        ("repeat.2.optional", "repeat.count", (2,)),
        ("repeat.2.optional.conv.channels", "repeat.2.optional", (True,)),
    ]


def test_residual():
    assert drawn(residual(["relu", "gelu"])) == "input relu[0] gelu[1] add[0, 2] output[3]"
    assert drawn(residual([])) == "input output[0]"
    assert drawn(residual(optional("relu")), residual__optional=False) == "input output[0]"


def test_optional():
    assert drawn(optional("relu"), optional=True) == "input relu[0] output[1]"
    assert drawn(optional("relu"), optional=False) == "input output[0]"


def test_choice_of_blocks():
    conv = op("conv", channels=choice(8, 16))
    network = choice(conv, ["relu", conv], [], conv, chain("gelu", name="own"))
    assert paths(network) == ["choice", "choice.conv.channels", "choice.chain.conv.channels", "choice.conv2.channels"]
    assert space(network).decisions.decisions[0].domain.values == ("conv", "chain", "nothing", "conv2", "own")
    assert drawn(network, choice="nothing") == "input output[0]"
    assert drawn(network, choice="own") == "input gelu[0] output[1]"
    assert drawn(network, choice="chain", choice__chain__conv__channels=8) == "input relu[0] conv[1] output[2]"


def test_branch():
    assert drawn(branch([], "relu", ["gelu", "silu"])) == "input relu[0] gelu[0] silu[2] add[0, 1, 3] output[4]"
    assert drawn(branch("relu", "gelu", merge="concat")) == "input relu[0] gelu[0] concat[1, 2] output[3]"
    assert drawn(branch("relu")) == "input relu[0] output[1]"
    conv = op("conv", channels=choice(8, 16))
    assert paths(branch(conv, chain(conv, name="wide"))) == ["branch.1.conv.channels", "branch.wide.conv.channels"]


def test_searched_branches():
    network = branch([], op("conv", channels=choice(8, 16), name="conv"), "relu", minimum=1, maximum=2)
    searched = space(network)
    assert [(d.path, d.parent, d.when) for d in searched.decisions.decisions] == [
        ("branch", None, ()),
        ("branch.conv.channels", "branch", ("conv",)),
    ]
    assert drawn(network, branch=["1", "3"]) == "input relu[0] add[0, 1] output[2]"
    assert drawn(network, branch=["3"]) == "input relu[0] output[1]"


def test_cell():
    network = cell(2, ["relu", op("conv", channels=choice(8, 16))], inputs=2)
    assert paths(network) == [
        f"cell.node{node}.{what}"
        for node in (1, 2)
        for edge in (1, 2)
        for what in (f"from{edge}", f"op{edge}", f"op{edge}.conv.channels")
    ]
    edges = {
        "cell__node1__from1": "input", "cell__node1__op1": "relu", "cell__node1__from2": "input", "cell__node1__op2": "relu",
        "cell__node2__from1": "node1", "cell__node2__op1": "relu", "cell__node2__from2": "input", "cell__node2__op2": "relu",
    }  # fmt: skip
    assert drawn(network, **edges) == "input relu[0] relu[0] add[1, 2] relu[3] relu[0] add[4, 5] output[6]"
    loose = edges | {"cell__node2__from1": "input"}
    assert drawn(network, **loose) == "input relu[0] relu[0] add[1, 2] relu[0] relu[0] add[4, 5] add[3, 6] output[7]"


def test_hyperparameters():
    searched = space(
        "relu",
        hyperparameters={
            "kind": choice("a", "b"),
            "rate": {"real": [0, 1], "when": {"kind": "a"}},
            "flips": subset("h", "v"),
            "epochs": 3,
        },
    )
    assert [(d.path, d.parent, d.when) for d in searched.decisions.decisions] == [
        ("hyperparameters.kind", None, ()),
        ("hyperparameters.rate", "hyperparameters.kind", ("a",)),
        ("hyperparameters.flips", None, ()),
        ("hyperparameters.epochs", None, ()),
    ]
    genotype = searched.decisions.genotype(
        {"hyperparameters.kind": "b", "hyperparameters.flips": ["h"], "hyperparameters.epochs": 3}
    )
    assert searched.express(genotype).hyperparameters == {"kind": "b", "flips": ("h",), "epochs": 3}


def test_operation_sets():
    network = op("dense", units=choice(8, 16))
    assert space(network, operations="tabular").operations.name == "tabular"
    assert space(network, operations=tabular()).operations.name == "tabular"
    with pytest.raises(ConfigurationError, match=r"^there is no operations 'nowhere'"):
        space(network, operations="nowhere")


distinct = itertools.count()  # names of neighbours must differ


def layers(depth):
    leaves = st.sampled_from(["relu", "batch_norm", [], op("conv", channels=choice(8, 16))])
    if depth == 0:
        return leaves
    inner = layers(depth - 1)
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        leaves,
        some,
        inner.map(residual),
        inner.map(optional),
        some.map(lambda blocks: choice(*blocks, name=f"pick{next(distinct)}")),
        some.map(lambda blocks: branch(*blocks)),
        st.builds(repeat, inner, st.sampled_from([0, 2, integer(0, 2), choice(1, 3)]), share=st.booleans()),
        some.map(lambda blocks: cell(2, blocks)),
    )


@settings(max_examples=60, deadline=None)
@given(layers(3), st.integers(0, 2**32 - 1))
def test_any_network_draws_graphs(network, seed):
    searched = space([network])
    rng = np.random.default_rng(seed)
    for _ in range(3):
        genotype = searched.decisions.sample(rng)
        searched.decisions.validate(genotype)
        nodes = searched.raw_graph(genotype).nodes
        assert nodes[0].op == "input"
        assert nodes[-1].op == "output"
        assert searched.express(genotype) == searched.express(genotype)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: space("relux"), "relux: there is no operation 'relux' in the set 'vision'; did you mean 'relu'?"),
        (
            lambda: space([op("conv", chanels=3), op("relu", slope=1)]),
            (
                "conv: conv needs the parameter 'channels'\n"
                "conv.chanels: conv has no parameter 'chanels'; did you mean 'channels'?\n"
                "relu.slope: relu has no parameter 'slope'; it has none"
            ),
        ),
        (
            lambda: space(op("conv", channels=8, kernel=choice(3, "5"))),
            "conv.kernel: kernel is a whole number such as 3, but got '5'",
        ),
        (
            lambda: space(op("conv", channels=8, bias=1)),
            "conv.bias: bias is true or false such as False, but got 1",
        ),
        (
            lambda: op("conv", channels=[1, 2]),
            "the parameter 'channels' of conv is a value or choice(...), integer(...), real(...) or subset(...), but got [1, 2]",
        ),
        (lambda: choice(), "a choice has no values; give it at least one"),
        (lambda: choice(name="a"), "a choice has no blocks; give it at least one"),
        (lambda: choice(op("relu"), 3), "a block is needed (op, chain, repeat, ..., or an operation's name), but got 3"),
        (lambda: chain(choice(1, 2)), "a block is needed (op, chain, repeat, ..., or an operation's name), but got Choice(values=(1, 2))"),
        (lambda: repeat("relu", 1.5), "a repeat needs whole counts from 0 to 256, but got 1.5"),
        (lambda: repeat("relu", integer(0, 10**9)), "a repeat needs whole counts from 0 to 256, but got 1000000000"),
        (lambda: repeat("relu", choice(1, "2")), "a repeat needs whole counts from 0 to 256, but got '2'"),
        (lambda: repeat("relu", real(0, 1)), "a repeat needs whole counts from 0 to 256, but got Real(low=0.0, high=1.0, log=False)"),
        (lambda: branch(), "a branch has no blocks; give it at least one"),
        (lambda: branch("relu", merge="mul"), "merge is 'add' or 'concat', but got 'mul'"),
        (lambda: branch("relu", minimum=0), "a branch needs a minimum of at least 1, but got 0; put it into optional(...) instead"),
        (
            lambda: branch("relu", minimum=2),
            "a subset of 1 values cannot hold 2 to 1 of them; needed is 0 <= minimum <= maximum <= 1",
        ),
        (
            lambda: branch(op("relu", name="2"), "gelu"),
            "the blocks of a branch need distinct names, but they are 2, 2",
        ),
        (lambda: cell(0, ["relu"]), "a cell needs nodes from 1 to 256, but got 0"),
        (lambda: cell(1, ["relu"], inputs=True), "a cell needs inputs from 1 to 256, but got True"),
        (lambda: cell(1, []), "a cell has no operations to choose from; give it at least one"),
        (lambda: cell(1, ["relu"], merge="mul"), "merge is 'add' or 'concat', but got 'mul'"),
        (lambda: op("relu", name="a.b"), "a block's name is letters, digits, _ and -, without dots, but got 'a.b'"),
        (
            lambda: chain(name="hyperparameters"),
            "a block cannot have the name 'hyperparameters'; it is kept for what is searched beside the network",
        ),
        (
            lambda: chain(op("relu", name="a"), op("relu", name="a")),
            "two neighbouring blocks have the name 'a'; give each a name of its own",
        ),
        (
            lambda: space("relu", hyperparameters={"a": [1, 2], "b": {"real": [0]}}),
            (
                "hyperparameters.a: write real, integer, choice or subset, such as {real: [0, 1]}, but got [1, 2]\n"
                "hyperparameters.b: real needs [low, high], but got [0]"
            ),
        ),
    ],
)  # fmt: skip
def test_messages(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message
