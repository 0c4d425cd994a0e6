import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import StorageError
from morphml_core.experiment import events
from morphml_core.experiment.ranking import Ranking
from morphml_core.experiment.state import TRANSITIONS, State
from morphml_core.problem import Budget, Cause, Trial, TrialState
from morphml_core.space.decisions import Genotype
from morphml_core.testing.storage import log

GENOTYPE = Genotype((1,))
BEGIN = [events.Started({}, {}, 0.0), events.Opened("h", 1, 0.0, 0.0)]


def proposed(number, **values):
    return events.Proposed(number, GENOTYPE, "f", 1.0, **values)


MAKE = {
    events.Submitted: events.Submitted(0, 1, 1.0),
    events.Reported: events.Reported(0, 1, {"a": 1.0}, 1.0),
    events.Finished: events.Finished(0, {"a": 1.0}, 1.0),
    events.Failed: events.Failed(0, Cause.ERROR, "no", 1.0),
    events.Stopped: events.Stopped(0, {"a": 1.0}, "why", 1.0),
    events.Lost: events.Lost(0, "gone", 1.0),
    events.Retried: events.Retried(0, 1.0),
}
WAY_TO = {
    TrialState.PENDING: [],
    TrialState.RUNNING: [events.Submitted],
    TrialState.FINISHED: [events.Submitted, events.Finished],
    TrialState.FAILED: [events.Submitted, events.Failed],
    TrialState.STOPPED: [events.Submitted, events.Stopped],
}


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("before", TrialState)
def test_the_table_decides_which_event_is_legal(before, kind):
    state = State.of([*BEGIN, proposed(0), *(MAKE[step] for step in WAY_TO[before])])
    index, counts, trial = state.index, state.counts, state.trials[0]
    assert trial.state is before
    after = TRANSITIONS[kind].get(before)
    if after is not None:
        state.apply(MAKE[kind])
        assert state.trials[0].state is after
        assert sum(state.counts.values()) == 1
        assert (0 in state.active, 0 in state.over) == (not after.over, after.over)
        return
    with pytest.raises(StorageError) as caught:
        state.apply(MAKE[kind])
    history = ", ".join(["proposed", *(step.__name__.lower() for step in WAY_TO[before])])
    assert str(caught.value) == (
        f"event {index}: trial 0 cannot be {kind.__name__.lower()}, as it is {before} (it was {history}); the log is damaged"
    )
    assert (state.index, state.counts, state.trials[0]) == (index, counts, trial)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([BEGIN[1]], "event 0 (opened) comes before the experiment started: the log is damaged"),
        ([BEGIN[0], BEGIN[0]], "event 1 starts the experiment a second time: the log is damaged"),
        ([BEGIN[0], events.Closed(1.0)], "event 1 closes the experiment, but nobody holds it: the log is damaged"),
        ([*BEGIN, proposed(1)], "event 2 proposes trial 1, but the next trial is 0: the log is damaged"),
        ([*BEGIN, MAKE[events.Submitted]], "event 2 (submitted) is about trial 0, which was never proposed"),
        ([*BEGIN, events.Lost(-1, "", 1.0)], "event 2 (lost) is about trial -1, which was never proposed"),
    ],
)
def test_a_damaged_log_is_refused(wrong, sentence):
    with pytest.raises(StorageError) as caught:
        State.of(wrong)
    assert str(caught.value) == sentence


def test_what_the_state_says_of_the_suites_log():
    state = State.of(log())
    assert state.counts == {"finished": 2, "failed": 0, "stopped": 1, "running": 0, "pending": 1, "duplicates": 1}
    assert (state.status, state.reason, state.holder, state.index) == ("ended", "4 trials are done", None, len(log()))
    assert (list(state.active), list(state.over), state.searched, state.repeats) == (
        [3],
        [0, 1, 2],
        [0, 1, 2],
        {0: [3]},
    )
    assert state.evaluations == 3
    assert state.elapsed() == 11.0
    assert state.trials[0].curve == ((1, {"accuracy": 0.1}),)
    assert (state.trials[0].attempt, state.losses_of(0), state.losses_of(3)) == (2, 1, 0)
    assert state.trials[1].duplicate_of == 0
    assert list(state.trials) == [0, 1, 2, 3]
    assert len(state.trials) == 4
    assert state.history(2) == ["proposed", "submitted", "failed", "retried", "submitted", "stopped"]
    with pytest.raises(KeyError):
        state.trials[4]
    with pytest.raises(KeyError):
        state.trials[-1]
    assert state.best is None
    assert state.front == state.finalists == []


def test_the_status_and_the_time_over_several_openings():
    state = State()
    assert state.status == "new"
    state.apply(events.Started({}, {}, 100.0))
    assert (state.status, state.elapsed(500.0)) == ("interrupted", 0.0)
    state.apply(events.Opened("h", 1, 0.0, 110.0))
    assert (state.status, state.elapsed(), state.elapsed(115.0)) == ("running", 0.0, 5.0)
    state.apply(events.Proposed(0, GENOTYPE, "", 120.0))
    # The process dies, and another takes the experiment: only the time up to the last event was search.
    state.apply(events.Opened("h", 2, 0.0, 200.0))
    assert (state.elapsed(), state.elapsed(201.0)) == (10.0, 11.0)
    state.apply(events.Ended("enough", 205.0))
    state.apply(events.Closed(205.0))
    assert (state.status, state.elapsed(), state.elapsed(900.0)) == ("ended", 15.0, 15.0)
    state.apply(events.Opened("h", 3, 0.0, 300.0))
    assert (state.status, state.reason) == ("running", "")


def test_equal_trials_are_found_by_fingerprint_and_budget():
    state = State.of(
        [*BEGIN, proposed(0), proposed(1, budget=Budget(3)), proposed(2, duplicate_of=0), proposed(3, continues=0)]
    )
    assert state.equal("f", Budget()) == 0
    assert state.equal("f", Budget(3)) == 1
    assert state.equal("f", Budget(3, 0.5)) is None
    assert state.equal("g", Budget()) is None
    state.apply(proposed(4))
    assert state.equal("f", Budget()) == 4


def test_idle_counts_trials_in_a_row_that_needed_no_evaluation():
    refused = events.Failed(2, Cause.INVALID, "", 1.0)
    state = State.of(
        [*BEGIN, proposed(0), proposed(1, duplicate_of=0), proposed(2), refused, proposed(3, duplicate_of=0)]
    )
    assert (state.idle, state.evaluations) == (3, 1)
    state.apply(proposed(4))
    assert (state.idle, state.evaluations) == (0, 2)


# the best, and the front ---------------------------------------------------------------------------------


METRICS = st.fixed_dictionaries({name: st.integers(0, 4).map(float) for name in ("accuracy", "parameters", "latency")})
TRIALS = st.lists(st.tuples(METRICS, st.sampled_from((Budget(), Budget(1), Budget(9)))), max_size=25)


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


@pytest.mark.parametrize(
    "objectives", [("accuracy",), ("accuracy", "parameters"), ("accuracy", "parameters", "latency")]
)
@given(TRIALS)
def test_best_and_front_are_what_a_look_at_all_trials_gives(lab, objectives, given_trials):
    problem = lab.problem(objectives, ["latency <= 2"])
    ranking = Ranking(problem)
    trials = [
        Trial(number, GENOTYPE, TrialState.FINISHED, str(number), budget, metrics)
        for number, (metrics, budget) in enumerate(given_trials)
    ]
    for trial in trials:
        ranking.add(trial)
    keys = {}
    for trial in trials:
        work = trial.budget.epochs or float("inf")
        keys[trial.number] = ((problem.violation(trial), -work), problem.losses(trial))
    if not trials:
        assert ranking.best is None
        assert ranking.front == []
        return
    best = min(keys, key=lambda number: (*keys[number][0], *keys[number][1], number))
    assert ranking.best.number == best
    first = min(prefix for prefix, _ in keys.values())
    candidates = {number: losses for number, (prefix, losses) in keys.items() if prefix == first}
    front, seen = [], set()
    for number, losses in candidates.items():
        if losses not in seen and not any(dominates(other, losses) for other in candidates.values()):
            front.append(number)
            seen.add(losses)
    if len(objectives) == 1:
        front = [best]
    assert sorted(trial.number for trial in ranking.front) == front
    assert [keys[trial.number][1] for trial in ranking.front] == sorted(keys[number][1] for number in front)


def test_the_best_finalist_is_the_best_of_the_means_of_repeats(lab):
    log = [*BEGIN]
    for number, accuracy in enumerate((0.9, 0.8, 0.7)):
        log += [
            events.Proposed(number, GENOTYPE, str(number), 1.0),
            events.Finished(number, {"accuracy": accuracy}, 1.0),
        ]
    state = State.of(log, lab.problem(constraints=()))
    assert state.best.number == 0
    assert [trial.number for trial in state.leaders(2)] == [0, 1]
    for number, repeat_of, accuracy in ((3, 0, 0.5), (4, 0, 0.7), (5, 1, 0.65), (6, 1, 0.75)):
        state.apply(events.Proposed(number, GENOTYPE, "", 1.0, repeat_of=repeat_of))
        state.apply(events.Finished(number, {"accuracy": accuracy}, 1.0))
    assert state.best == state.trials[6]
    assert state.best.metrics == {"accuracy": 0.75}
    first, second = state.finalists
    assert (first.trial.number, first.repeats, first.metrics) == (1, (5, 6), {"accuracy": pytest.approx(0.7)})
    assert (second.trial.number, second.metrics) == (0, {"accuracy": pytest.approx(0.6)})
    assert second.deviations == {"accuracy": pytest.approx(0.02**0.5)}


def test_leaders_have_distinct_fingerprints_and_begin_with_the_front(lab):
    log = [*BEGIN]
    for number, (accuracy, parameters, mark) in enumerate(
        ((0.9, 60.0, "a"), (0.9, 60.0, "a"), (0.8, 50.0, "b"), (0.5, 10.0, "c"), (0.85, 65.0, "d"), (0.99, 90.0, "e"))
    ):
        metrics = {"accuracy": accuracy, "parameters": parameters}
        log += [events.Proposed(number, GENOTYPE, mark, 1.0), events.Finished(number, metrics, 1.0)]
    state = State.of(log, lab.problem(("accuracy", "parameters")))
    assert [trial.number for trial in state.leaders(4)] == [0, 2, 3, 4]
    assert [trial.number for trial in state.leaders(9)] == [0, 2, 3, 4, 5]
    with pytest.raises(StorageError) as caught:
        State.of(log).leaders(2)
    assert str(caught.value) == "the leaders of an experiment are asked for, but its state was made without a problem"
