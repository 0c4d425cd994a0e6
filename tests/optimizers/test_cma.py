"""The distributions of CMA-ES: how decisions become numbers, what they draw, what becomes of changed decisions, and what they learn."""

from __future__ import annotations

import numpy as np
import pytest

from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real, Subset

pytest.importorskip("cmaes", reason="needs cmaes")

from morphml_optimizers.cma import Mixed, Ordered, Points, law

DECISIONS = [
    Decision("one", Choice(("only",))), Decision("op", Choice(("a", "b", "c", "d"))), Decision("n", Integer(1, 5)),
    Decision("log", Integer(1, 64, log=True)), Decision("wide", Integer(1, 5000)), Decision("rate", Real(0.1, 1.0)),
    Decision("skips", Subset((1, 2))), Decision("bias", Choice((True, False))),
]  # fmt: skip
MIXED = DecisionSpace(DECISIONS)
ORDERED = DecisionSpace(decision for decision in DECISIONS if decision.path != "op")


def drawn(distribution, count=200):
    return [distribution.draw(seed) for seed in range(count)]


def test_how_decisions_become_numbers():
    points = Points(MIXED)
    assert points.free.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert points.owners.tolist() == [1, 2, 3, 4, 5, 6, 6, 7]
    assert points.choices.tolist() == [True, *[False] * 6, True]
    np.testing.assert_allclose(points.steps, [1 / 4, 1 / 5, 0, 0, 0, 1 / 2, 1 / 2, 1 / 2])
    assert points.counts().tolist() == [4, 5, 0, 0, 0, 2, 2, 2]


def test_only_a_choice_of_three_or_more_needs_shares():
    assert type(law(Points(MIXED), None, 0.2, 8)) is Mixed
    assert type(law(Points(ORDERED), None, 0.2, 8)) is Ordered


@pytest.mark.parametrize("decisions", [MIXED, ORDERED, DecisionSpace(DECISIONS[:2]), DecisionSpace(DECISIONS[1:3])])
def test_every_draw_is_a_genotype_and_a_seed_draws_one(decisions):
    distribution = law(Points(decisions), None, 0.2, 8)
    found = [genotype for genotype, _ in drawn(distribution)]
    for genotype in found:
        decisions.validate(genotype)
    assert found == [genotype for genotype, _ in drawn(distribution)]
    assert len(set(found)) > 3


@pytest.mark.parametrize("decisions", [MIXED, ORDERED])
def test_the_first_draws_are_around_the_mean(decisions):
    genotype = decisions.genotype(
        {"one": "only", "n": 5, "log": 2, "wide": 4000, "rate": 0.3, "skips": [2], "bias": True}
        | ({"op": "d"} if decisions is MIXED else {})
    )
    points = Points(decisions)
    found = [other for other, _ in drawn(law(points, points.encode(genotype), 0.1, 8))]
    values = [decisions.values(other) for other in found]
    assert np.mean([one["n"] == 5 for one in values]) > 0.5
    assert abs(np.mean([one["rate"] for one in values]) - 0.3) < 0.05
    assert all(one["wide"] > 1000 for one in values)
    if decisions is MIXED:
        assert 0.45 < np.mean([one["op"] == "d" for one in values]) < 0.8


@pytest.mark.parametrize("decisions", [MIXED, ORDERED])
def test_a_changed_decision_moves_as_little_as_it_can_and_no_other_does(decisions):
    points = Points(decisions)
    distribution = law(points, None, 0.2, 8)
    rng = np.random.default_rng(1)
    for one in drawn(distribution, 60):
        assert distribution.settled(one, one[0]) is one[1]
        changed = decisions.mutate(one[0], rng, 2)
        kept = points.kept(one[0], changed)
        told = distribution.settled(one, changed)
        if decisions is ORDERED:
            assert (kept | (np.abs(told - points.encode(changed)) <= points.steps / 2 + 1e-9)).all()
            np.testing.assert_array_equal(told[kept], one[1][kept])
        else:
            place = {False: 1, True: 0}
            assert np.argmax(told.c[-1]) == place[decisions.values(changed)["bias"]]
            assert "abcd"[np.argmax(told.c[0])] == decisions.values(changed)["op"]
            assert abs(told._v_raw[-1] - (decisions.values(changed)["n"] - 1)) <= 0.5 or kept[1]
            assert told._v_raw[2] == one[1]._v_raw[2] or not kept[4]


@pytest.mark.parametrize("decisions", [MIXED, ORDERED])
def test_what_it_learns_it_draws_more_often_and_a_copy_learns_nothing(decisions):
    def loss(genotype):
        values = decisions.values(genotype)
        return (values.get("op") != "b") + (values["n"] - 4) ** 2 + 10 * (values["rate"] - 0.8) ** 2 + values["bias"]

    distribution = law(Points(decisions), None, 0.2, 8)
    copy = distribution.copied()
    losses = []
    for generation in range(25):
        found = [distribution.draw(1000 + 8 * generation + place) for place in range(8)]
        losses.append(np.mean([loss(genotype) for genotype, _ in found]))
        assert not distribution.learn([solution for _, solution in sorted(found, key=lambda one: loss(one[0]))])
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert np.mean([loss(genotype) for genotype, _ in drawn(copy)]) > 0.7 * losses[0]


def test_the_order_of_the_values_does_not_matter_to_shares():
    shares = []
    for values in ("abcd", "dbca"):
        distribution = law(Points(DecisionSpace([Decision("op", Choice(tuple(values)))])), None, 0.2, 8)
        for generation in range(15):
            found = [distribution.draw(1000 + 8 * generation + place) for place in range(8)]
            found.sort(key=lambda one: one[0].slots[0] != "c")
            distribution.learn([solution for _, solution in found])
        shares.append(np.mean([genotype.slots[0] == "c" for genotype, _ in drawn(distribution)]))
    assert min(shares) > 0.6
