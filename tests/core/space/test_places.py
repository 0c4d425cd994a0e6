"""What is wrong with a space in a file is said with its file and line."""

import pytest

from morphml_core.config import read_configuration, resolve
from morphml_core.errors import ConfigurationError

HEAD = """
experiment: wrong
objectives: [{name: accuracy}]
evaluator: {name: function, function: "math:sqrt"}
stop: {trials: 3}
space:
"""


def complaints(tmp_path, text):
    path = tmp_path / "search.yaml"
    path.write_text(HEAD.lstrip() + text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        resolve(read_configuration(path))
    return [str(complaint).removeprefix(f"{tmp_path}/") for complaint in caught.value.complaints]


def test_chain(tmp_path):
    text = """  name: chain
  layers:
    - conv: {chanels: 16}
    - repeat:
        count: 2
        block:
          - residual: [relu, relux]
    - choice: []
  hyperparameters:
    rate: {real: [1]}
"""
    assert complaints(tmp_path, text) == [
        "search.yaml:8: space 'chain': layers[0].conv: conv needs the parameter 'channels'",
        "search.yaml:8: space 'chain': layers[0].conv.chanels: conv has no parameter 'chanels'; did you mean 'channels'?",
        (
            "search.yaml:12: space 'chain': layers[1].repeat.block[0].residual[1].relux: "
            "there is no operation 'relux' in the set 'vision'; did you mean 'relu'?"
        ),
        "search.yaml:13: space 'chain': layers[2].choice: a choice has no blocks; give it at least one",
        "search.yaml:15: space 'chain': hyperparameters.rate: real needs [low, high], but got [1]",
    ]


def test_parameters(tmp_path):
    text = """  name: parameters
  decisions:
    x: {real: [0, 1]}
    y:
      choice: []
"""
    assert complaints(tmp_path, text) == [
        "search.yaml:9: space 'parameters': decisions.y: a choice has no values; give it at least one"
    ]


def test_cnn(tmp_path):
    text = """  name: cnn
  kernels: [3, 4]
  blocks: [conv, convolution]
"""
    assert complaints(tmp_path, text) == [
        "search.yaml:7: space 'cnn': kernels: 4 is even; kernels are odd, so that sizes stay",
        "search.yaml:8: space 'cnn': blocks: 'convolution' is unknown; there are conv, inverted_residual, residual, separable",
    ]
