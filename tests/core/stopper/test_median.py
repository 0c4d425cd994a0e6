import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import MorphMLError
from morphml_core.problem import Objective, Problem, Trial, TrialState
from morphml_core.space.decisions import Genotype
from morphml_core.stopper.median import Config, MedianStopper, _RunningMedian
from morphml_core.testing.stopper import CurveSpace, StopperSuite, learning_trial


class TestMedian(StopperSuite):
    @pytest.fixture
    def make(self):
        return lambda problem: MedianStopper(Config(), problem)


def problem(*objectives):
    return Problem(CurveSpace(), objectives or [Objective("score")])


def trial(number, values, state=TrialState.FINISHED, first=1, **options):
    curve = tuple((step, {"score": value}) for step, value in enumerate(values, first))
    return Trial(number, Genotype((0.5,)), state, curve=curve, metrics=curve[-1][1], **options)


def running(*values, first=1, **options):
    return trial(99, values, TrialState.RUNNING, first, **options)


def test_the_rule_by_hand():
    stopper = MedianStopper(Config(warmup_steps=0, warmup_trials=3), problem())
    # averages up to step 2: 0.2, 0.4, 0.6
    stopper.tell([trial(0, [0.1, 0.3]), trial(1, [0.3, 0.5]), trial(2, [0.5, 0.7])])
    assert stopper.verdict(running(0.1, 0.39)) == (
        "its best score, 0.39, is worse at step 2 than the median 0.4 of 3 finished trials"
    )
    assert stopper.verdict(running(0.1, 0.4)) is None
    assert stopper.verdict(running(0.45, 0.1)) is None
    assert stopper.verdict(running(0.29)) is not None
    assert stopper.verdict(running(0.0, 0.0, 0.0)) is None


def test_a_metric_to_minimize():
    stopper = MedianStopper(Config(warmup_steps=0, warmup_trials=1), problem(Objective("score", "minimize")))
    stopper.tell([trial(0, [3.0, 1.0])])
    assert stopper.verdict(running(3.0, 2.5)) == (
        "its best score, 2.5, is worse at step 2 than the median 2 of 1 finished trials"
    )
    assert stopper.verdict(running(2.0, 2.5)) is None


def test_the_warm_up():
    stopper = MedianStopper(Config(warmup_steps=2, warmup_trials=2), problem())
    stopper.tell([trial(0, [1.0, 1.0, 1.0])])
    assert stopper.verdict(running(0.0, 0.0, 0.0)) is None
    stopper.tell([trial(1, [1.0, 1.0, 1.0])])
    assert stopper.verdict(running(0.0, 0.0)) is None
    assert stopper.verdict(running(0.0, 0.0, 0.0)) is not None


def test_only_finished_trials_count():
    stopper = MedianStopper(Config(0, 1), problem())
    stopper.tell([trial(number, [1.0], state) for number, state in enumerate([TrialState.STOPPED, TrialState.FAILED])])
    assert stopper.verdict(running(0.0)) is None


def test_a_repeat_of_a_finalist_is_never_stopped():
    stopper = MedianStopper(Config(0, 1), problem())
    stopper.tell([trial(0, [1.0])])
    assert stopper.verdict(running(0.0)) is not None
    assert stopper.verdict(running(0.0, repeat_of=0)) is None


def test_a_curve_that_begins_late_is_averaged_from_there():
    stopper = MedianStopper(Config(0, 1), problem())
    stopper.tell([trial(0, [0.4, 0.8], first=5)])
    assert stopper.verdict(running(0.3, first=4)) is None
    assert stopper.verdict(running(0.59, first=6)) is not None
    assert stopper.verdict(running(0.61, first=6)) is None


def test_a_step_that_is_reported_again_counts_once():
    stopper = MedianStopper(Config(0, 1), problem())
    twice = Trial(
        0,
        Genotype((0.5,)),
        TrialState.FINISHED,
        curve=tuple((s, {"score": v}) for s, v in ((1, 0.0), (2, 0.0), (1, 1.0), (2, 1.0))),
    )
    stopper.tell([twice])
    assert stopper.verdict(running(0.9, 0.9)) is not None


def test_one_of_several_objectives_is_named():
    objectives = [Objective("score"), Objective("parameters", "minimize")]
    with pytest.raises(MorphMLError) as error:
        MedianStopper(Config(), problem(*objectives))
    assert str(error.value) == (
        "the stopper 'median' looks at one objective, but there are 2 (score, parameters); say which with its option 'objective'"
    )
    stopper = MedianStopper(Config(0, 1, "score"), problem(*objectives))
    stopper.tell([trial(0, [1.0])])
    assert stopper.verdict(running(0.0)) is not None


def test_an_objective_that_is_not_there():
    with pytest.raises(MorphMLError) as error:
        MedianStopper(Config(objective="f1"), problem())
    assert str(error.value) == "the stopper 'median' is to look at 'f1', but the objectives are score"


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1))
def test_the_running_median_is_the_median(numbers):
    running = _RunningMedian()
    for count, number in enumerate(numbers, 1):
        running.add(number)
        expected = statistics.median(numbers[:count])
        assert running.median == expected or (running.median != running.median and expected != expected)
        assert len(running) == count


def test_a_verdict_is_as_fast_after_many_trials():
    def seconds(count):
        stopper = MedianStopper(Config(), problem())
        stopper.tell([learning_trial(number, number % 97 / 97, 5, TrialState.FINISHED) for number in range(count)])
        candidate, best = learning_trial(count, 0.01, 5), 1.0
        for _ in range(20):
            started = time.perf_counter()
            for _ in range(50):
                stopper.verdict(candidate)
            best = min(best, time.perf_counter() - started)
        return best

    assert seconds(20_000) < 3 * seconds(20)
