"""Genotypes as points of a cube: there and back, what a choice looks like, and mirrors."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.optimizer.fresh import Fresh
from morphml_core.problem import Trial
from morphml_core.testing.problems import SPACES, problem, sampled
from morphml_optimizers.asking import proposed
from morphml_optimizers.vectors import Vectors, place_of, reflected


@pytest.mark.parametrize("space", sorted(SPACES))
def test_there_and_back(space):
    decisions = problem(space).decisions
    vectors = Vectors(decisions)
    rng = np.random.default_rng(3)
    for _ in range(30):
        genotype = decisions.sample(rng)
        vector = vectors.encode(genotype, rng)
        assert len(vector) == len(vectors.owners)
        again = vectors.decode(vector)
        assert vectors.decode(vectors.encode(again, rng)) == again
        assert all(
            one == pytest.approx(other) if isinstance(one, float) else one == other
            for one, other in zip(genotype, again, strict=True)
        )


@given(st.lists(st.floats(-3, 3), min_size=30, max_size=30))
@settings(max_examples=50, deadline=None)
def test_every_vector_is_a_genotype(numbers):
    decisions = problem("flat").decisions
    decisions.validate(Vectors(decisions).decode(np.array(numbers)))


def test_a_choice_has_a_number_a_value_and_a_choice_of_two_has_one():
    flat, mixed = problem("flat").decisions, problem("mixed").decisions
    assert Vectors(flat).owners.tolist() == [index for index in range(6) for _ in range(5)]
    assert Vectors(mixed).owners.tolist() == [0, 1, 2, 3, 3, 3, 4, 5]
    genotype = flat.genotype({f"edge{index}": "abcdea"[index] for index in range(6)})
    vector = Vectors(flat).encode(genotype, np.random.default_rng(0))
    assert vector[:5].tolist() == [0.75, 0.25, 0.25, 0.25, 0.25]
    assert vector[15:20].tolist() == [0.25, 0.25, 0.25, 0.75, 0.25]


def test_numbers_of_inactive_decisions_are_drawn():
    decisions = problem("conditional").decisions
    vectors = Vectors(decisions)
    genotype = decisions.genotype({"kind": "plain", "width": 8})
    one, other = (vectors.encode(genotype, np.random.default_rng(seed)) for seed in (1, 2))
    assert vectors.decode(one) == vectors.decode(other) == genotype
    active = [decisions.decisions[owner].path in ("kind", "width") for owner in vectors.owners]
    assert ((one == other) == active).all()


def test_what_leaves_the_cube_is_mirrored_and_what_is_far_out_lies_on_its_side():
    found = reflected(np.array([-0.25, 0.0, 0.5, 1.0, 1.25, 2.5, -1.5]))
    assert found.tolist() == [0.25, 0.0, 0.5, 1.0, 0.75, 0.0, 0.5]


def test_places_in_origins():
    trial = Trial(0, problem("flat").decisions.sample(np.random.default_rng(0)), origin="particle 3")
    assert place_of(trial, "particle ", 4) == 3
    assert place_of(trial, "particle ", 3) is None
    assert place_of(attrs.evolve(trial, origin="random"), "particle ", 3) is None


def test_a_plan_hears_how_many_are_pending():
    given = problem("flat")
    seen = []

    def plan(waiting, rng):
        seen.append(waiting)
        return lambda: given.decisions.sample(rng), f"after {waiting}"

    found = proposed(given, Fresh(given), [50, 51, 52], sampled(given, 4), plan)
    assert seen == [4, 5, 6]
    assert [proposal.origin for proposal in found] == ["after 4", "after 5", "after 6"]
