"""The snippets of the page on the space language run, and say the same in Python and YAML."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from morphml_core.errors import SpaceError
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader

PAGE = Path(__file__).resolve().parents[3] / "docs" / "space-language.md"
BLOCKS = re.findall(r"```(python|yaml|text)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
YAML = [text for kind, text in BLOCKS if kind == "yaml"]


def load(text):
    options = dict(yaml.safe_load(text)["space"])
    return Loader().load(ComponentRef("space", options.pop("name"), options)).create()


def run(text):
    names = {}
    exec(compile(text, str(PAGE), "exec"), names)
    return names


def test_there_are_snippets():
    assert len(PYTHON) >= 5
    assert len(YAML) >= 5


@pytest.mark.parametrize("text", PYTHON)
def test_python_runs(text, capsys):
    run(text)


@pytest.mark.parametrize("text", YAML)
def test_yaml_is_a_space(text):
    space = load(text)
    space.express(space.decisions.sample(np.random.default_rng(0)))


@pytest.mark.parametrize("index", [0, 1])
def test_both_forms_are_one_space(index):
    python, written = run(PYTHON[index])["searched"], load(YAML[index])
    assert python.decisions.decisions == written.decisions.decisions
    rng = np.random.default_rng(0)
    for _ in range(10):
        genotype = python.decisions.sample(rng)
        assert python.express(genotype) == written.express(genotype)


def test_the_paths_in_the_table_are_those_of_the_first_space():
    paths = {decision.path for decision in run(PYTHON[0])["searched"].decisions.decisions}
    assert {
        "stem.kernel",
        "optional.dropout.rate",
        "stage.count",
        "stage.2.residual.choice",
        "optional",
        "stage.1.residual.choice",
        "hyperparameters.learning_rate",
    } <= paths


def test_the_messages_are_those():
    (expected,) = (text for kind, text in BLOCKS if kind == "text")
    text = """
    space:
      name: chain
      layers:
        - conv: {chanels: 16}
        - batch_norm
        - relux
      hyperparameters:
        optimizer: {choice: [sgd, adamw]}
        momentum: {real: [0, 1], when: {optimiser: sgd}}
    """
    with pytest.raises(SpaceError) as caught:
        load(text)
    assert sorted(str(caught.value).splitlines()) == sorted(expected.splitlines())


def test_an_impossible_space_is_reported(capsys):
    run(PYTHON[-1])
    assert capsys.readouterr().out == (
        "no network of this space fits samples of shape 1 x 8 x 8: none of 50 drawn at random could be built; "
        "50 times: node 5 (max_pool): a kernel of 2 is larger than its input of 1 with padding 0 on both sides\n"
    )
