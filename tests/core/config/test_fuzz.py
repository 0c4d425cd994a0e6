"""Whatever is written, the answer is a configuration or a `ConfigurationError`, never another exception."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.config import Configuration, difference, from_mapping, read_configuration
from morphml_core.config.document import Document, override
from morphml_core.config.reading import SECTIONS, configuration_of
from morphml_core.config.toml import read_toml
from morphml_core.config.yaml import read_yaml
from morphml_core.errors import ConfigurationError

GOOD = {
    "experiment": "digits-cnn",
    "seed": 7,
    "objectives": [{"name": "accuracy"}, {"name": "parameters", "goal": "minimize"}],
    "constraints": ["parameters <= 200000"],
    "space": {"name": "chain", "layers": [{"conv": {"channels": {"choice": [8, 16]}}}]},
    "evaluator": {"name": "train", "dataset": "digits", "epochs": 8},
    "storage": "sqlite:///digits.db",
    "stop": {"trials": 100, "time": "10m"},
    "trial": {"timeout": "2m", "memory": "2GiB"},
    "reproducible": {"window": 4},
    "finalists": {"top": 2},
    "hooks": ["progress", {"name": "logbook"}],
}
WORDS = st.sampled_from(
    [*SECTIONS, "name", "python", "trials", "time", "accuracy", "10m", "2GiB", "none", "sqlite:///x.db", "a.py:b"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS | st.binary(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5) | st.integers(), inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


def answer(run):
    """Run, and check that the answer is one of the two."""
    try:
        found = run()
    except ConfigurationError as error:
        found = error
    if isinstance(found, ConfigurationError):
        assert found.complaints
        assert all(complaint.message for complaint in found.complaints)
        return
    assert isinstance(found, Configuration)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert difference(found.trajectory(), json.loads(json.dumps(found.trajectory()))) == ""
    assert text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@given(st.binary(max_size=200), st.sampled_from(["a.yaml", "a.toml"]))
def test_any_bytes(folder, data, name):
    path: Path = folder / name
    path.write_bytes(data)
    answer(lambda: read_configuration(path))


@given(st.text(max_size=200) | st.text(alphabet="[]{}:,-&*!|>'\"#%@`?= \n\tab1.", max_size=60))
def test_any_text(text):
    for read in (read_yaml, read_toml):
        answer(lambda read=read: configuration_of(read(text, "f"), (), None, "f"))


@given(VALUES)
def test_any_values(value):
    answer(lambda: configuration_of(Document(value), (), None, ""))
    answer(lambda: from_mapping({"space": value}))


@given(st.dictionaries(st.sampled_from(SECTIONS), VALUES, max_size=5), st.lists(st.tuples(WORDS, VALUES), max_size=3))
@settings(max_examples=200)
def test_mutations_of_a_good_configuration(sections, options):
    mutated = json.loads(json.dumps(GOOD)) | sections
    for key, value in options:
        for section in mutated.values():
            if isinstance(section, dict):
                section[key] = value
    answer(lambda: from_mapping(mutated))


@given(st.data())
def test_mutations_of_a_good_file(data):
    text = yaml.safe_dump(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + data.draw(st.text(max_size=4)) + text[end:]
    answer(lambda: configuration_of(read_yaml(text, "f"), (), None, "f"))


@given(st.lists(st.builds("{}={}".format, st.lists(WORDS | st.sampled_from("019x"), max_size=3).map(".".join), WORDS | st.text(max_size=9)) | st.text(max_size=9), max_size=4))  # fmt: skip
def test_any_changes(changes):
    document = Document(json.loads(json.dumps(GOOD)))
    for text in changes:
        override(document, text)
    answer(lambda: configuration_of(document, (), None, "f"))


def test_the_good_one_is_good():
    assert from_mapping(GOOD).experiment == "digits-cnn"
