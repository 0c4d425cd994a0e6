"""Who is promoted: exact heaps for one objective, fronts and nets for several."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.testing.problems import ACCURACY, BOTH, problem
from morphml_optimizers.nondominated import ranked
from morphml_optimizers.promotion import Entry, FrontRung, SortedRung, net, rung, selected
from morphml_optimizers.ranking import Standing


def entry(number, *losses, violation=0.0, failed=False):
    return Entry(f"f{number}", None, number, Standing(failed, violation, losses))


def numbers(entries):
    return [found.number for found in entries]


LOSSES = st.integers(0, 9).map(float)
RESULTS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 1.0]), LOSSES), max_size=60)


@settings(max_examples=200)
@given(RESULTS, st.integers(2, 4), st.data())
def test_a_rung_for_one_objective_is_exact(results, reduction, data):
    found, entries, passed = SortedRung(reduction), [], set()
    for number, (failed, violation, loss) in enumerate(results):
        entries.append(entry(number, math.inf if failed else loss, violation=violation, failed=failed))
        found.add(entries[-1])
        if data.draw(st.booleans()):
            passed.add(f"f{data.draw(st.integers(0, number))}")
            for identity in passed:
                found.pass_on(identity)
        busy = {f"f{data.draw(st.integers(0, number))}"} - passed
        share = selected(entries, len(entries) // reduction)
        expected = next((each for each in share if each.identity not in passed | busy), None)
        full = (number + 1) // reduction <= len(passed | busy)
        if full and expected is not next(iter(selected(entries, 1)), None):
            expected = None
        assert found.due(busy) is expected
        assert found.due(busy) is expected


def test_no_more_than_the_share_are_promoted_but_for_a_leader():
    found = SortedRung(3)
    for number in range(6):
        found.add(entry(number, 10.0 + number))
    for number in (0, 1):
        assert found.due(()).number == number
        found.pass_on(f"f{number}")
    found.add(entry(6, 10.5))
    assert found.due(()) is None
    assert found.left().number == 6
    found.add(entry(7, 5.0))
    assert found.due(()).number == 7
    assert found.due({"f7"}) is None
    found.pass_on("f7")
    found.add(entry(8, 20.0))
    assert found.due(()) is None
    for number in range(9, 12):
        found.add(entry(number, 20.0))
    assert found.due(()).number == 6


def test_failed_ones_are_never_selected():
    entries = [entry(0, math.inf, failed=True), entry(1, 5.0), entry(2, 3.0)]
    assert numbers(selected(entries, 3)) == [2, 1]
    assert selected(entries[:1], 1) == []
    assert selected(entries, 0) == []


def test_infeasible_ones_come_last_by_violation():
    entries = [
        entry(0, 1.0, 1.0, violation=2.0),
        entry(1, 9.0, 9.0),
        entry(2, 0.0, 0.0, violation=1.0),
        entry(3, 8.0, 8.0),
    ]
    assert numbers(selected(entries, 4)) == [3, 1, 2, 0]
    assert numbers(selected(entries, 3)) == [3, 1, 2]


def test_a_front_that_does_not_fit_is_thinned_by_distance():
    front = [(0.0, 10.0), (0.1, 9.9), (0.2, 9.8), (5.0, 5.0), (10.0, 0.0)]
    entries = [entry(number, *losses) for number, losses in enumerate(front)]
    entries.append(entry(5, 11.0, 11.0))
    assert numbers(selected(entries, 3)) == [0, 4, 3]
    assert numbers(selected(entries, 4)) == [0, 4, 3, 2]
    assert numbers(selected(entries, 6)) == [0, 1, 2, 3, 4, 5]
    assert numbers(selected(entries, 3, kept={"f1", "f5"})) == [1, 4, 3]


@settings(max_examples=100)
@given(st.lists(st.tuples(LOSSES, LOSSES, LOSSES), min_size=1, max_size=40), st.integers(0, 45))
def test_nobody_is_selected_before_one_that_dominates_it(losses, count):
    entries = [entry(number, *each) for number, each in enumerate(losses)]
    found = selected(entries, count)
    assert len(found) == min(count, len(entries)) == len(set(numbers(found)))
    left = [each for each in entries if each not in found]
    assert not any(other.standing.dominates(mine.standing) for other in left for mine in found)


def test_many_entries_with_three_objectives_are_ranked_in_parts():
    rng = np.random.default_rng(4)
    entries = [entry(number, *rng.random(3).tolist()) for number in range(2500)]
    found = numbers(selected(entries, 833))
    assert len(found) == len(set(found)) == 833
    assert [sum(low <= number < low + 1024 for number in found) for low in (0, 1024, 2048)] == [341, 341, 151]
    best = [each.number for each in entries if not any(other.standing.dominates(each.standing) for other in entries)]
    assert len(set(best) & set(found)) > 0.9 * len(best)


def test_the_scale_of_an_objective_does_not_matter():
    rng = np.random.default_rng(3)
    angles = np.sort(rng.random(30)) * math.pi / 2
    points = np.stack([1 - np.cos(angles), 1 - np.sin(angles)], axis=1)
    assert net(points.tolist(), 10) == net((points * [1.0, 1e6] + [5.0, 3.0]).tolist(), 10)


@pytest.mark.parametrize("count", [2, 5, 9])
def test_a_net_leaves_no_hole_more_than_twice_the_least_possible(count):
    rng = np.random.default_rng(count)
    first = np.sort(rng.random(200))
    points = np.stack([first, 1.0 - first], axis=1)
    scaled = (first - first[0]) / (first[-1] - first[0]) * math.sqrt(2)
    holes = np.abs(scaled[:, None] - scaled[net(points.tolist(), count)][None]).min(axis=1).max()
    assert holes <= 2 * math.sqrt(2) / (2 * count) + 0.05  # evenly spread: half of the gap between two


def test_a_net_of_equal_points():
    assert sorted(net([(1.0, 1.0)] * 5, 3)) == sorted(set(net([(1.0, 1.0)] * 5, 3)))
    assert len(net([(1.0, 1.0)] * 5, 3)) == 3
    assert net([(1.0, 2.0), (2.0, 1.0)], 1) == [0]


def test_a_rung_for_several_objectives_is_by_fronts_of_its_share():
    rng = np.random.default_rng(8)
    found, entries = rung(problem("flat", BOTH), 3), []
    assert isinstance(rung(problem("flat", ACCURACY), 3), SortedRung)
    for number in range(32):
        entries.append(entry(number, *rng.random(2).tolist()))
        found.add(entries[-1])
        best, promoted = selected(entries, len(entries) // 3), set()
        while (due := found.due(promoted)) is not None:
            promoted.add(due.identity)
        fronts = ranked([each.standing for each in entries])
        rank = {entries[index].identity: place for place, front in enumerate(fronts) for index in front}
        assert sorted(rank[identity] for identity in promoted) == sorted(rank[each.identity] for each in best)


def test_a_rung_for_several_objectives_promotes_a_share_in_the_long_run():
    rng = np.random.default_rng(9)
    found, promoted = FrontRung(3), set()
    for number in range(6000):
        found.add(entry(number, *rng.random(2).tolist()))
        due = found.due(())
        if due is not None:
            found.pass_on(due.identity)
            promoted.add(due.number)
    assert 1800 < len(promoted) < 2600


def test_what_nothing_dominates_is_due_at_once():
    rng = np.random.default_rng(2)
    found = FrontRung(3)
    number = 0
    while number < 300 or found._wait < 5:  # the next ranking is not near
        found.add(entry(number, *(1.0 + rng.random(2)).tolist()))
        number += 1
    busy = set()
    while (due := found.due(busy)) is not None:
        busy.add(due.identity)
    found.add(entry(1000, 1.9, 1.9))
    assert found.due(busy) is None
    found.add(entry(1001, 0.5, 1.5))
    assert found.due(busy).number == 1001
