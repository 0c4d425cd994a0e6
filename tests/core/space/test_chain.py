import contextlib

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.errors import SpaceError
from morphml_core.space import chain as component
from morphml_core.space.chain import Config, create
from morphml_core.space.language import (
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

EVERYTHING = """
- conv: {channels: {choice: [8, 16]}, kernel: {choice: [3, 5]}, name: stem}
- batch_norm
- chain: [relu, conv: {channels: 8}]
- chain: {layers: [relu, conv: {channels: 8}], name: named}
- repeat:
    count: {integer: [1, 3]}
    block: [residual: [conv: {channels: 8}, batch_norm, choice: [relu, gelu]]]
    name: stage
- repeat: {count: 2, block: {optional: relu}, share: true}
- residual: {conv: {channels: {integer: [4, 64], log: true}}}
- residual: {block: [relu, [gelu]], name: skip}
- optional: [dropout: {rate: {real: [0.1, 0.5]}}]
- optional: {block: silu, name: maybe}
- branch: [[], max_pool]
- branch: {blocks: [[max_pool], conv: {channels: 8, name: wide}, []], merge: concat, minimum: 1, maximum: 2, name: sides}
- choice: [relu, [batch_norm, gelu], conv: {channels: 8}]
- choice: {blocks: [relu, silu], name: last}
- cell: {nodes: 3, operations: [identity, conv: {channels: {choice: [8, 16]}}], inputs: 1, merge: concat, name: dag}
- cell: {nodes: 2, operations: [identity, relu]}
- relu: {}
- gelu:
"""
HYPERPARAMETERS = """
learning_rate: {real: [1e-4, 1.0e-1], log: true}
optimizer: {choice: [sgd, adamw]}
momentum: {real: [0, 1], when: {optimizer: [sgd]}}
flips: {subset: [h, v], minimum: 1}
epochs: 3
"""


def in_python():
    conv8 = op("conv", channels=8)
    return space(
        chain(
            op("conv", channels=choice(8, 16), kernel=choice(3, 5), name="stem"),
            "batch_norm",
            chain("relu", conv8),
            chain("relu", conv8, name="named"),
            repeat([residual([conv8, "batch_norm", choice("relu", "gelu")])], integer(1, 3), name="stage"),
            repeat(optional("relu"), 2, share=True),
            residual(op("conv", channels=integer(4, 64, log=True))),
            residual(["relu", ["gelu"]], name="skip"),
            optional([op("dropout", rate=real(0.1, 0.5))]),
            optional("silu", name="maybe"),
            branch([], "max_pool"),
            branch(
                ["max_pool"],
                op("conv", channels=8, name="wide"),
                [],
                merge="concat",
                minimum=1,
                maximum=2,
                name="sides",
            ),
            choice(op("relu"), ["batch_norm", "gelu"], conv8),
            choice("relu", "silu", name="last"),
            cell(3, ["identity", op("conv", channels=choice(8, 16))], inputs=1, merge="concat", name="dag"),
            cell(2, ["identity", "relu"]),
            op("relu"),
            "gelu",
        ),
        hyperparameters={
            "learning_rate": real(1e-4, 1e-1, log=True),
            "optimizer": choice("sgd", "adamw"),
            "momentum": {"real": [0, 1], "when": {"optimizer": ["sgd"]}},
            "flips": subset("h", "v", minimum=1),
            "epochs": 3,
        },
    )


def written(layers, hyperparameters="{}"):
    return create(Config(yaml.safe_load(layers), yaml.safe_load(hyperparameters)))


def test_python_and_yaml_are_one_space():
    one, two = in_python(), written(EVERYTHING, HYPERPARAMETERS)
    assert one.decisions.decisions == two.decisions.decisions
    rng = np.random.default_rng(0)
    for _ in range(20):
        genotype = one.decisions.sample(rng)
        assert one.express(genotype) == two.express(genotype)
        assert one.raw_graph(genotype) == two.raw_graph(genotype)


def test_all_words_are_covered():
    assert all(f"- {word}:" in EVERYTHING for word in component._FORMS)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[relux]", "layers[0].relux: there is no operation 'relux' in the set 'vision'; did you mean 'relu'?"),
        ("[relu, repeet: {count: 1, block: relu}]", "layers[1].repeet: there is no operation 'repeet' in the set 'vision'; did you mean 'repeat'?"),
        ("relu", "layers: a list of layers is needed, but got 'relu'"),
        ("[3]", "layers[0]: a layer is a name, a list, or a mapping of one key such as conv: {...}, but got 3"),
        ("[{relu: {}, gelu: {}}]", "layers[0]: a layer is a name, a list, or a mapping of one key such as conv: {...}, but got 2 keys: relu, gelu"),
        ("[conv: {channels: {choice: []}}]", "layers[0].conv.channels: a choice has no values; give it at least one"),
        ("[conv: {channels: [1, 2]}]", "layers[0].conv.channels: a value is needed, or a decision such as {choice: [1, 2]}, but got [1, 2]"),
        ("[conv: {channels: {chioce: [1]}}]", "layers[0].conv.channels: a value is needed, or a decision such as {choice: [1, 2]}, but got {'chioce': [1]}"),
        ("[conv: {channels: {choice: [1], log: true}}]", "layers[0].conv.channels: choice has no option 'log'; it has no options"),
        ("[conv: {channels: {integer: [1, 2], choice: [1]}}]", "layers[0].conv.channels: a decision is one of choice, subset, integer, real, but got {'integer': [1, 2], 'choice': [1]}"),
        ("[conv: {channels: {integer: [1, 2], logg: true}}]", "layers[0].conv.channels: integer has no option 'logg'; it has log"),
        ("[conv: {channels: {integer: [1, 2], log: 1}}]", "layers[0].conv.channels: log is true or false, but got 1"),
        ("[conv: {channels: {integer: 3}}]", "layers[0].conv.channels: integer needs [low, high], but got 3"),
        ("[dropout: {rate: {real: [a, 1]}}]", "layers[0].dropout.rate: a real needs finite numbers as bounds, but got 'a'"),
        ("[conv: 16]", "layers[0].conv: the parameters of conv are a mapping such as {channels: 16}, but got 16"),
        ("[conv: {chanels: 16, channels: 8}]", "layers[0].conv.chanels: conv has no parameter 'chanels'; did you mean 'channels'?"),
        ("[conv: {kernel: 3}]", "layers[0].conv: conv needs the parameter 'channels'"),
        ("[conv: {channels: 3, name: 'a.b'}]", "layers[0].conv: a block's name is letters, digits, _ and -, without dots, but got 'a.b'"),
        ("[[relu, [relu, relux]]]", "layers[0][1][1].relux: there is no operation 'relux' in the set 'vision'; did you mean 'relu'?"),
        ("[repeat: {count: 2}]", "layers[0].repeat: repeat needs 'block'"),
        ("[repeat: {block: relu}]", "layers[0].repeat: repeat needs 'count'"),
        ("[repeat: [relu]]", "layers[0].repeat: repeat needs 'count'"),
        ("[repeat: {count: 2, block: relu, shared: true}]", "layers[0].repeat: repeat has no part 'shared'; did you mean 'share'?"),
        ("[repeat: {count: {integer: [2, 1]}, block: relu}]", "layers[0].repeat.count: an integer needs low <= high, but got 2 and 1"),
        ("[repeat: {count: two, block: relu}]", "layers[0].repeat: a repeat needs whole counts from 0 to 256, but got 'two'"),
        ("[repeat: {count: 2, block: [relu, relux]}]", "layers[0].repeat.block[1].relux: there is no operation 'relux' in the set 'vision'; did you mean 'relu'?"),
        ("[residual: [relu, relux]]", "layers[0].residual[1].relux: there is no operation 'relux' in the set 'vision'; did you mean 'relu'?"),
        ("[branch: relu]", "layers[0].branch: a list is needed, but got 'relu'"),
        ("[branch: []]", "layers[0].branch: a branch has no blocks; give it at least one"),
        ("[choice: []]", "layers[0].choice: a choice has no blocks; give it at least one"),
        ("[choice: {relu: {}}]", "layers[0].choice: choice has no part 'relu'; there are blocks, name"),
        ("[cell: {nodes: 2}]", "layers[0].cell: cell needs 'operations'"),
        ("[cell: {nodes: {integer: [1, 2]}, operations: [relu]}]", "layers[0].cell: a cell needs nodes from 1 to 256, but got Integer(low=1, high=2, log=False)"),
        ("[relu: {name: a}, gelu: {name: a}]", "layers: two neighbouring blocks have the name 'a'; give each a name of its own"),
    ],
)  # fmt: skip
def test_messages(layers, message):
    with pytest.raises(SpaceError) as caught:
        written(layers)
    assert str(caught.value) == message


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(SpaceError) as caught:
        written("[relux, conv: {channels: {choice: []}, kernel: x}, gelu]", "{a: {reel: [0, 1]}}")
    assert str(caught.value) == (
        "layers[0].relux: there is no operation 'relux' in the set 'vision'; did you mean 'relu'?\n"
        "layers[1].conv.channels: a choice has no values; give it at least one\n"
        "hyperparameters.a: write real, integer, choice or subset, such as {real: [0, 1]}, but got {'reel': [0, 1]}"
    )


scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3))
words = st.sampled_from(
    ["conv", "relu", "channels", "kernel", "name", "choice", "integer", "real", "subset", "log", "minimum", "repeat", "count", "block",
     "share", "residual", "optional", "branch", "blocks", "merge", "cell", "nodes", "operations", "inputs", "chain", "layers", "when"]
)  # fmt: skip
anything = st.recursive(
    st.one_of(scalars, words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, scalars), inner, max_size=3)),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, max_size=3), st.dictionaries(st.text(max_size=3), anything, max_size=2))
def test_nothing_but_a_space_error_comes_of_nonsense(layers, hyperparameters):
    with contextlib.suppress(SpaceError):
        searched = create(Config(layers, hyperparameters))
        searched.raw_graph(searched.decisions.sample(np.random.default_rng(0)))
