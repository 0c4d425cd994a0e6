import contextlib

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.errors import SpaceError
from morphml_core.space.decisions import Decision
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.space.parameters import Config, create


def test_decisions():
    space = create(
        Config(
            yaml.safe_load("""
            x: {real: [0, 1]}
            rate: {real: [1e-4, 1], log: true}
            y: {choice: [a, b]}
            z: {integer: [1, 10], log: true, when: {y: [a]}}
            parts: {subset: [p, q], minimum: 1, maximum: 1}
            deep: {choice: [1], when: {parts: p}}
            """)
        )
    )
    assert space.decisions.decisions == (
        Decision("x", Real(0, 1)),
        Decision("rate", Real(1e-4, 1, True)),
        Decision("y", Choice(("a", "b"))),
        Decision("z", Integer(1, 10, True), "y", ("a",)),
        Decision("parts", Subset(("p", "q"), 1, 1)),
        Decision("deep", Choice((1,)), "parts", ("p",)),
    )
    assert space.operations is None


def test_a_candidate_has_the_active_parameters():
    space = create(Config({"y": {"choice": ["a", "b"]}, "z": {"integer": [1, 3], "when": {"y": "a"}}}))
    candidate = space.express(space.decisions.genotype({"y": "b"}))
    assert candidate.graph is None
    assert candidate.hyperparameters == {"y": "b"}


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ({}, "decisions: there is none; write at least one parameter, such as x: {real: [0, 1]}"),
        (
            {"x": 3, "y": {"choice": []}, "z": {"real": [0, 1], "when": {"yy": 1}}, "w": {"real": [0, 1], "when": "y"}},
            (
                "decisions.x: write real, integer, choice or subset, such as {real: [0, 1]}, but got 3\n"
                "decisions.y: a choice has no values; give it at least one\n"
                "decisions.z: when names 'yy', which is no decision; did you mean 'y'?\n"
                "decisions.w: when names one decision and its values, such as {y: [a]}, but got 'y'"
            ),
        ),
        (
            {"x": {"choice": [1, 2]}, "y": {"real": [0, 1], "when": {"x": [3]}}},
            "the decision 'y' is active when 'x' is 3, a value it cannot have",
        ),
        (
            {"y": {"real": [0, 1], "when": {"x": [1]}}, "x": {"choice": [1, 2]}},
            "the decision 'y' has the parent 'x', which is not before it",
        ),
    ],
)
def test_messages(decisions, message):
    with pytest.raises(SpaceError) as caught:
        create(Config(decisions))
    assert str(caught.value) == message


words = st.sampled_from(["choice", "integer", "real", "subset", "log", "minimum", "maximum", "when", "a", "b"])
anything = st.recursive(
    st.one_of(words, st.none(), st.booleans(), st.integers(-3, 3), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(words, st.one_of(anything, st.dictionaries(words, anything, max_size=3)), max_size=3))
def test_nothing_but_a_space_error_comes_of_nonsense(decisions):
    with contextlib.suppress(SpaceError):
        space = create(Config(decisions))
        space.express(space.decisions.sample(np.random.default_rng(0)))
