"""In reproducible mode nothing that executors, processes or clocks do changes what is found."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphml_core.experiment.state import State

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
WINDOW = 4
OPTIONS = {"window": WINDOW, "trials": 45, "retries": 100}


def search(lab, storage, executor, **options):
    loop = lab.loop(storage, executor=executor, make_stopper=lab.BelowMean, **{**OPTIONS, **options})
    reason = loop.run()
    return loop.state, reason


@pytest.fixture
def calm(lab):
    """The table of an unbroken search in one place."""
    state, reason = search(lab, lab.Memory().open("x"), lab.inline())
    assert reason == "45 trials are done"
    return lab.table(state)


def test_the_search_of_these_tests_has_everything(calm):
    states = {str(trial.state) for trial in calm}
    assert states == {"finished", "failed", "stopped"}
    assert {str(trial.cause) for trial in calm if trial.cause} == {"invalid", "error"}
    duplicates = [trial for trial in calm if trial.duplicate_of is not None]
    assert any(trial.number - trial.duplicate_of < WINDOW for trial in duplicates)
    assert any(trial.number - trial.duplicate_of > WINDOW for trial in duplicates)
    assert any("pending" in trial.origin for trial in calm)


@QUICK
@given(
    seed=st.integers(0, 2**32),
    slots=st.integers(1, 6),
    deaths=st.sampled_from((0.0, 0.1)),
    twice=st.sampled_from((0.0, 0.5)),
)
def test_the_order_of_completion_deaths_and_repeated_outcomes_change_nothing(lab, calm, seed, slots, deaths, twice):
    executor = lab.Shuffled(lab.work(), np.random.default_rng(seed), slots, deaths, twice)
    storage = lab.Memory().open("x")
    state, reason = search(lab, storage, executor)
    assert lab.table(state) == calm
    assert reason == "45 trials are done"
    assert len(set(executor.submitted)) == len(executor.submitted)
    again = State.of(storage.read(), lab.problem())
    assert dict(again.trials) == dict(state.trials)
    assert (again.counts, again.best, again.index, again.front) == (state.counts, state.best, state.index, state.front)


@QUICK
@given(seed=st.integers(0, 2**32), data=st.data())
def test_dying_at_any_appends_changes_nothing(lab, calm, seed, data):
    storage, rng = lab.Memory().open("x"), np.random.default_rng(seed)
    for _ in range(6):
        at, stored = data.draw(st.integers(0, 25)), data.draw(st.booleans())
        executor = lab.Shuffled(lab.work(), rng, 3, 0.05)
        loop = lab.loop(lab.Dying(storage, at, stored), executor=executor, make_stopper=lab.BelowMean, **OPTIONS)
        try:
            loop.run()
        except lab.Death:
            assert executor.closed
    state, _ = search(lab, storage, lab.Shuffled(lab.work(), rng, 3))
    assert lab.table(state) == calm


def test_dying_after_every_few_appends_changes_nothing(lab, calm):
    storage = lab.Memory().open("x")
    for life in range(1000):
        try:
            # Enough appends to take the experiment and to get one trial done.
            state, _ = search(lab, lab.Dying(storage, 8, stored=life % 2 == 0), lab.inline())
        except lab.Death:
            continue
        break
    assert life > 10
    assert lab.table(state) == calm


@QUICK
@given(seed=st.integers(0, 2**32), breaks=st.lists(st.integers(3, 44), max_size=3))
def test_stopping_and_going_on_changes_nothing(lab, calm, seed, breaks):
    storage, rng = lab.Memory().open("x"), np.random.default_rng(seed)
    for trials in sorted(breaks):
        search(lab, storage, lab.Shuffled(lab.work(), rng, 3), trials=trials)
    state, _ = search(lab, storage, lab.Shuffled(lab.work(), rng, 5))
    assert lab.table(state) == calm


def test_the_window_is_what_it_says(lab):
    problem = lab.problem()
    optimizer = lab.Climber(problem, patience=0)
    lab.loop(problem=problem, optimizer=optimizer, window=3, trials=10).run()
    assert [asked for asked in optimizer.asked if asked[0][0] in (0, 1, 2, 3, 9)] == [
        ((0,), (), 0),
        ((1,), (0,), 0),
        ((2,), (0, 1), 0),
        ((3,), (1, 2), 1),
        ((9,), (7, 8), 7),
    ]
    assert optimizer.told == list(range(7))


def test_a_window_of_one_is_a_search_one_after_the_other(lab):
    problem = lab.problem()
    optimizer = lab.Climber(problem)
    lab.loop(problem=problem, optimizer=optimizer, window=1, trials=10).run()
    assert optimizer.asked == [((number,), (), number) for number in range(10)]


def test_an_optimizer_that_waits_is_told_one_by_one_until_it_proposes(lab):
    problem = lab.problem()
    optimizer = lab.Climber(problem, patience=5)
    executor = lab.Shuffled(lab.work(), np.random.default_rng(1), 4)
    loop = lab.loop(problem=problem, optimizer=optimizer, executor=executor, window=4, trials=12)
    loop.run()
    assert ((8,), (5, 6, 7), 5) in optimizer.asked
    told = [loop.state.proposed(number).told for number in range(12)]
    assert told == sorted(told)
    assert 4 not in told


@pytest.mark.parametrize("target", [0.5, 0.9, 1.0])
def test_the_target_ends_the_search_after_the_same_trials(lab, target):
    tables = []
    for seed in range(6):
        executor = lab.Shuffled(lab.work(), np.random.default_rng(seed), 4, 0.1)
        state, reason = search(lab, lab.Memory().open("x"), executor, target=target, trials=200)
        assert reason.startswith("the target is reached: accuracy is ")
        assert state.counts["running"] == state.counts["pending"] == 0
        tables.append(lab.table(state))
    assert all(table == tables[0] for table in tables)


def test_an_exhausted_optimizer_ends_the_search_after_the_same_trials(lab):
    tables = []
    for seed in range(6):
        problem = lab.problem()
        executor = lab.Shuffled(lab.work(), np.random.default_rng(seed), 4, 0.1)
        loop = lab.loop(problem=problem, optimizer=lab.Climber(problem, ends=20), executor=executor, **OPTIONS)
        assert loop.run() == "the optimizer has no more to propose"
        tables.append(lab.table(loop.state))
    assert len(tables[0]) == 23
    assert all(table == tables[0] for table in tables)
