"""Parzen densities: rows of genotypes and back, densities that sum to one, kernels of what is active together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.testing.problems import SPACES
from morphml_optimizers.parzen import Density, Layout

every_space = pytest.mark.parametrize("space", sorted(SPACES))


def genotypes(decisions, count, seed=3):
    rng = np.random.default_rng(seed)
    return [decisions.sample(rng) for _ in range(count)]


def density(layout, rows, smoothing=0.4, width=0.15, even=1.0):
    return Density(layout, rows, np.append(np.ones(len(rows)), even), smoothing, np.full(len(layout.codes), width))


@every_space
def test_rows_of_genotypes_decode_to_them(space):
    decisions = SPACES[space]().decisions
    layout, found = Layout(decisions), genotypes(decisions, 60)
    rows = layout.rows(found)
    again = layout.rows([layout.genotype(units) for units in rows.units])
    assert (again.active == rows.active).all()
    np.testing.assert_allclose(again.units, rows.units, atol=1e-12)


@every_space
def test_settled_numbers_are_the_rows_of_what_they_decode_to(space):
    decisions = SPACES[space]().decisions
    layout = Layout(decisions)
    rows = layout.settle(np.random.default_rng(5).random((200, decisions.dimensions)))
    expected = layout.rows([layout.genotype(units) for units in rows.units])
    assert (rows.active == expected.active).all()
    owned = rows.active[:, layout.owner]
    np.testing.assert_allclose(np.where(owned, rows.units, 0.5), expected.units, atol=1e-9)
    assert (rows.marks == expected.marks).all()


def test_settling_equals_decoding():
    decisions = SPACES["mixed"]().decisions
    layout, units = Layout(decisions), np.random.default_rng(6).random((300, decisions.dimensions))
    rows = layout.settle(units)
    for number in range(300):
        assert layout.genotype(rows.units[number]) == decisions.decode(units[number]) or np.allclose(
            decisions.encode(decisions.decode(units[number])),
            layout.rows([layout.genotype(rows.units[number])]).units[0],
        )


def test_groups_are_what_is_active_together():
    decisions = DecisionSpace(
        [
            Decision("kind", Choice(("a", "b", "c"))),
            Decision("width", Integer(1, 4), "kind", ("a", "b")),
            Decision("depth", Integer(1, 4), "kind", ("b", "a")),
            Decision("rate", Real(0.0, 1.0), "kind", ("c",)),
            Decision("other", Real(0.0, 1.0)),
        ]
    )
    layout = Layout(decisions)
    assert [group.dimensions for group in layout.groups] == [[0, 4], [1, 2], [3]]
    assert [(group.parent, group.above) for group in layout.groups] == [(-1, -1), (0, 0), (0, 0)]


@pytest.mark.parametrize("space", ["flat", "small", "conditional"])
def test_the_density_over_all_genotypes_sums_to_one(space):
    """With choices and subsets exactly; an integer's kernel is a normal density, whose sum over the steps is close to one."""
    decisions = SPACES[space]().decisions
    layout = Layout(decisions)
    every = set(genotypes(decisions, 60_000, 1)) if space == "flat" else set(genotypes(decisions, 3_000, 1))
    rows = layout.rows(sorted(every, key=str))
    cells = np.prod(np.where(rows.active[:, layout.owner], np.where(layout.steps > 0, layout.steps, 1.0), 1.0), axis=1)
    found = np.exp(density(layout, layout.rows(genotypes(decisions, 9))).log(rows)) * cells
    share = len(every) / decisions.size
    assert found.sum() == pytest.approx(1.0, abs=0.06 + (1 - share))


def test_the_density_is_the_mixture_of_products():
    """Against the definition, written out, where decisions are conditional."""
    decisions = DecisionSpace(
        [
            Decision("kind", Choice(("a", "b"))),
            Decision("op", Choice(("x", "y", "z")), "kind", ("b",)),
            Decision("skip", Choice((True, False)), "op", ("x", "y")),
        ]
    )
    layout = Layout(decisions)
    told = [decisions.genotype(values) for values in (
        {"kind": "a"}, {"kind": "b", "op": "x", "skip": True}, {"kind": "b", "op": "z"}, {"kind": "b", "op": "x", "skip": False},
    )]  # fmt: skip
    weights, even, smoothing = np.array([1.0, 2.0, 0.5, 1.0]), 0.7, 0.3
    found = Density(layout, layout.rows(told), np.append(weights, even), smoothing, np.ones(3))

    def kernel(index, own, value):
        share = smoothing / (3 if index == 1 else 2)
        return 1 - smoothing + share if own == value else share

    def alone(index, value):
        having = [
            (weight, one.slots[index])
            for weight, one in zip(weights, told, strict=True)
            if one.slots[index] is not None
        ]
        flat = 1 / (3 if index == 1 else 2)
        total = sum(weight for weight, _ in having) + even
        return (sum(weight * kernel(index, own, value) for weight, own in having) + even * flat) / total

    for genotype in [*told, decisions.genotype({"kind": "b", "op": "y", "skip": True})]:
        values = [(index, value) for index, value in enumerate(genotype.slots) if value is not None]
        expected = even * np.prod([1 / (3 if index == 1 else 2) for index, _ in values])
        for weight, one in zip(weights, told, strict=True):
            parts = [
                alone(index, value) if one.slots[index] is None else kernel(index, one.slots[index], value)
                for index, value in values
            ]
            expected += weight * np.prod(parts)
        expected /= weights.sum() + even
        assert np.exp(found.log(layout.rows([genotype]))[0]) == pytest.approx(expected)


def test_the_density_of_a_number_integrates_to_one():
    decisions = DecisionSpace([Decision("rate", Real(1e-4, 1.0, log=True))])
    layout = Layout(decisions)
    told = layout.rows([decisions.genotype({"rate": rate}) for rate in (1e-4, 0.003, 1.0)])
    grid = layout.settle(((np.arange(4000) + 0.5) / 4000)[:, None])
    assert np.exp(density(layout, told, width=0.08).log(grid)).mean() == pytest.approx(1.0, abs=1e-4)


def test_draws_follow_the_density():
    decisions = SPACES["conditional"]().decisions
    layout = Layout(decisions)
    found = density(layout, layout.rows(genotypes(decisions, 5, 8)), even=0.5)
    drawn = [layout.genotype(units) for units in found.draw(np.random.default_rng(0), 40_000).units]
    every = sorted(set(genotypes(decisions, 3_000, 1)), key=str)
    rows = layout.rows(every)
    shares = np.array([drawn.count(genotype) / len(drawn) for genotype in every])
    cells = np.prod(np.where(rows.active[:, layout.owner], np.where(layout.steps > 0, layout.steps, 1.0), 1.0), axis=1)
    np.testing.assert_allclose(shares, np.exp(found.log(rows)) * cells, atol=0.03)


def test_draws_are_within_the_limits_of_subsets():
    decisions = DecisionSpace([Decision("some", Subset(("a", "b", "c", "d"), 1, 2))])
    layout = Layout(decisions)
    told = layout.rows([decisions.genotype({"some": ["a", "b"]}), decisions.genotype({"some": ["d"]})])
    drawn = [
        layout.genotype(units).slots[0] for units in density(layout, told).draw(np.random.default_rng(0), 500).units
    ]
    assert {len(held) for held in drawn} == {1, 2}
    assert len(set(drawn)) == 4 + len(list(itertools.combinations("abcd", 2)))


def test_numbers_stay_on_their_scale():
    decisions = DecisionSpace([Decision("rate", Real(0.0, 1.0))])
    layout = Layout(decisions)
    told = layout.rows([decisions.genotype({"rate": 0.0}), decisions.genotype({"rate": 1.0})])
    drawn = density(layout, told, width=0.5, even=0.01).draw(np.random.default_rng(0), 5_000).units[:, 0]
    assert drawn.min() >= 0.0
    assert drawn.max() <= 1.0
    assert (drawn < 0.3).mean() > 0.25
