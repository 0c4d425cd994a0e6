"""The counts that docs/fingerprints.md argues for, from the script that prints them."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("fingerprints_benchmark", ROOT / "benchmarks" / "fingerprints.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_published_count_comes_from_its_rule_and_others_from_theirs(script):
    counts = [len({script.describe(cell, rules) for cell in script.CELLS}) for _, rules in script.STEPS]
    assert counts == [15625, 12751, 6466, 5390, 4930, 5545, 5155]


def test_fingerprints_follow_those_rules_and_tell_shared_nodes_from_copies(script):
    """A fingerprint decides the string of a cell, and cells of one string and several fingerprints share a node differently."""
    strings = [script.describe(cell, script.STEPS[-1][1]) for cell in script.CELLS]
    prints = script.fingerprints(script.network)
    assert len(set(prints)) == 5485
    assert len(set(zip(prints, strings, strict=True))) == 5485


def test_the_documentation_states_these_counts():
    text = (ROOT / "docs" / "fingerprints.md").read_text()
    for number in ("15,625", "12,751", "6,466", "5,390", "4,930", "5,545", "5,155", "5,485"):
        assert number in text
