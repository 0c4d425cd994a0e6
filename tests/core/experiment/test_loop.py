import logging
import math

import attrs
import numpy as np
import pytest

from morphml_core.cache.memory import component as memory_cache
from morphml_core.experiment import events
from morphml_core.experiment.journal import retry
from morphml_core.experiment.loop import INTERRUPTED
from morphml_core.experiment.settings import IDLE, Retries, Settings
from morphml_core.experiment.state import State
from morphml_core.problem import Budget, Cause, Outcome, Proposal, Report, TrialState


def kinds(storage, number):
    return [type(event).__name__.lower() for event in storage.read() if getattr(event, "number", None) == number]


@pytest.fixture
def storage(lab):
    return lab.Memory().open("x")


class Scripted:
    """Answers each submitted task with the messages of a script: functions of the task."""

    def __init__(self, *script, slots=1):
        self.script, self.slots, self.queue, self.tasks, self.cancelled = list(script), slots, [], [], []

    def submit(self, task):
        self.tasks.append(task)
        answer = self.script.pop(0) if self.script else lambda task: [finished(task)]
        self.queue += answer(task)

    def poll(self, timeout):
        found, self.queue = self.queue, []
        return found

    def cancel(self, number):
        self.cancelled.append(number)

    def close(self):
        """Nothing runs."""


def finished(task, accuracy=0.5, **metrics):
    return Outcome(
        task.number, task.attempt, {"accuracy": accuracy, "parameters": 10.0, **metrics}, duration=1.5, worker="w"
    )


def answer(*makers):
    return lambda task: [make(task) for make in makers]


# the order of things -----------------------------------------------------------------------------------


class Witness:
    """Looks into the storage whenever something leaves the loop."""

    def __init__(self, lab, storage, problem):
        self.storage, self.problem, self.slots = storage, problem, 3
        self.inner, self.climber = lab.Shuffled(lab.work(), np.random.default_rng(0), 3, 0.1), lab.Climber(problem)

    def state(self):
        return State.of(self.storage.read())

    def submit(self, task):
        trial = self.state().trials[task.number]
        assert (trial.state, trial.attempt, trial.genotype) == (TrialState.RUNNING, task.attempt, task.genotype)
        assert task.seed == self.problem.seed_of(task.number)
        self.inner.submit(task)

    def poll(self, timeout):
        return self.inner.poll(timeout)

    def cancel(self, number):
        assert self.state().trials[number].state.over
        self.inner.cancel(number)

    def close(self):
        self.inner.close()

    def ask(self, numbers, pending):
        assert numbers[0] == len(self.state().trials)
        return self.climber.ask(numbers, [attrs.evolve(trial, metrics={}) for trial in pending])

    def tell(self, trials):
        stored = self.state().trials
        assert all(stored[trial.number] == trial for trial in trials)
        self.climber.tell(trials)

    def notify(self, event, state):
        stored = self.storage.read()
        assert event in stored
        assert state.index == len(stored)


def test_everything_is_stored_before_it_is_known_elsewhere(lab, storage):
    problem = lab.problem()
    witness = Witness(lab, storage, problem)
    loop = lab.loop(
        storage,
        problem,
        optimizer=witness,
        executor=witness,
        listener=witness,
        make_stopper=lab.BelowMean,
        trials=40,
        retries=9,
    )
    assert loop.run() == "40 trials are done"
    assert sorted(witness.climber.told) == list(range(40))
    state = State.of(storage.read(), problem)
    assert dict(state.trials) == dict(loop.state.trials)
    assert (state.counts, state.best, state.index) == (loop.state.counts, loop.state.best, loop.state.index)
    assert state.status == "ended"
    assert loop.state.counts["stopped"] > 0


def test_a_listener_hears_every_event_in_order(lab, storage):
    heard = []

    class Listener:
        def notify(self, event, state):
            heard.append(event)

    lab.loop(storage, listener=Listener(), trials=20).run()
    assert heard == storage.read()


def test_a_listener_that_raises_harms_nothing(lab, storage, caplog):
    class Listener:
        def notify(self, event, state):
            raise RuntimeError("no network")

    with caplog.at_level(logging.ERROR):
        assert lab.loop(storage, listener=Listener(), trials=5).run() == "5 trials are done"
    assert "a listener failed on Started: RuntimeError: no network" in caplog.text
    assert State.of(storage.read()).status == "ended"


# results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("0.97", "the evaluation returned '0.97' (a str), but metrics are a mapping of names to numbers"),
        ({"accuracy": math.nan, "parameters": 1.0}, "the metric 'accuracy' is nan, but metrics are finite numbers"),
        ({"accuracy": "high"}, "the metric 'accuracy' is 'high' (a str), but metrics are finite numbers"),
        (
            {"loss": 1.0},
            "the evaluation returned no metric 'accuracy', which an objective or a constraint names; it returned parameters, loss",
        ),
    ],
)
def test_what_is_no_measurement_is_a_failure(lab, storage, metrics, message):
    executor = Scripted(answer(lambda task: Outcome(task.number, task.attempt, metrics, duration=2.0, worker="w7")))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype(), lab.genotype(width=2)]), executor=executor, trials=2)
    loop.run()
    failed = storage.read()[4]
    assert failed == events.Failed(0, Cause.ERROR, message, failed.time, 2.0, {"parameters": 10.0}, "w7")
    assert loop.state.trials[1].state is TrialState.FINISHED


def test_known_metrics_complete_a_result(lab, storage):
    executor = Scripted(answer(lambda task: Outcome(task.number, task.attempt, {"accuracy": np.float32(0.5)})))
    lab.loop(storage, optimizer=lab.Listed([lab.genotype(width=3)]), executor=executor, trials=1).run()
    assert storage.read()[4].metrics == {"parameters": 30.0, "accuracy": 0.5}


@pytest.mark.parametrize("cause", [Cause.ERROR, Cause.TIMEOUT, Cause.OUT_OF_MEMORY, Cause.INVALID])
def test_failures_keep_their_cause_and_the_search_goes_on(lab, storage, cause):
    executor = Scripted(
        answer(lambda task: Outcome(task.number, task.attempt, cause=cause, message="so", duration=3.0))
    )
    problem = lab.problem()
    optimizer = lab.Climber(problem)
    loop = lab.loop(storage, problem, optimizer, executor, trials=4)
    assert loop.run() == "4 trials are done"
    trial = loop.state.trials[0]
    assert (trial.state, trial.cause, trial.message, trial.duration) == (TrialState.FAILED, cause, "so", 3.0)
    assert optimizer.told == [0, 1, 2, 3]


def test_a_report_that_is_no_measurement_fails_the_trial(lab, storage):
    executor = Scripted(answer(lambda task: Report(task.number, 1, 3, {"accuracy": math.nan}), finished))
    lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1).run()
    assert kinds(storage, 0) == ["proposed", "submitted", "failed"]
    assert storage.read()[4].message == "at step 3: the metric 'accuracy' is nan, but metrics are finite numbers"
    assert storage.read()[4].cause is Cause.ERROR


def test_reports_need_not_have_every_metric(lab, storage):
    executor = Scripted(answer(lambda task: Report(task.number, 1, np.int64(1), {"loss": np.float32(0.5)}), finished))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1)
    loop.run()
    assert loop.state.trials[0].curve == ((1, {"loss": 0.5}),)
    assert loop.state.trials[0].state is TrialState.FINISHED


def test_a_stopper_ends_a_trial_with_its_last_report_and_what_comes_later_is_dropped(lab, storage):
    class Stopper:
        def tell(self, trials):
            assert [trial.state for trial in trials] == [TrialState.STOPPED]

        def verdict(self, trial):
            return "hopeless" if trial.curve[-1][0] == 2 else None

    def report(step):
        return lambda task: Report(task.number, task.attempt, step, {"accuracy": step / 10})

    executor = Scripted(answer(report(1), report(2), report(3), finished))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, make_stopper=Stopper, trials=1)
    loop.run()
    assert kinds(storage, 0) == ["proposed", "submitted", "reported", "reported", "stopped"]
    trial = loop.state.trials[0]
    assert (trial.metrics, trial.message) == ({"accuracy": 0.2, "parameters": 10.0}, "hopeless")
    assert executor.cancelled == []


def test_a_stopped_task_is_cancelled(lab, storage):
    class Stopper:
        def tell(self, trials):
            """Nothing to learn."""

        def verdict(self, trial):
            return "hopeless"

    executor = Scripted(answer(lambda task: Report(task.number, task.attempt, 1, {"accuracy": 0.1})))
    inner = executor.cancel
    executor.cancel = lambda number: (inner(number), executor.queue.append(Outcome(number, 1)))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, make_stopper=Stopper, trials=1)
    loop.run()
    assert executor.cancelled == [0]
    assert kinds(storage, 0) == ["proposed", "submitted", "reported", "stopped"]


def test_outcomes_of_former_attempts_and_strangers_do_not_count(lab, storage):
    def stray(task):
        return Outcome(task.number, 7, {"accuracy": 9.0})

    def stranger(task):
        return Outcome(99, 1, {"accuracy": 9.0})

    executor = Scripted(
        answer(stray, stranger, finished, finished, lambda task: Report(task.number, 1, 1, {"accuracy": 9.0}))
    )
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1)
    loop.run()
    assert kinds(storage, 0) == ["proposed", "submitted", "finished"]
    assert loop.state.trials[0].metrics["accuracy"] == 0.5


# lost --------------------------------------------------------------------------------------------------


def lost(task):
    return Outcome(task.number, task.attempt, cause=Cause.LOST, message=f"worker {task.attempt} died", worker="w")


def test_a_lost_trial_runs_again(lab, storage):
    executor = Scripted(answer(lost), answer(lost), answer(finished))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1, retries=2)
    loop.run()
    assert [task.attempt for task in executor.tasks] == [1, 2, 3]
    assert len({task.seed for task in executor.tasks}) == 1
    assert kinds(storage, 0) == ["proposed", "submitted", "lost", "submitted", "lost", "submitted", "finished"]


def test_a_trial_that_is_lost_too_often_fails(lab, storage):
    executor = Scripted(*[answer(lost)] * 9)
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1, retries=1)
    loop.run()
    trial = loop.state.trials[0]
    assert (trial.state, trial.cause, trial.attempt) == (TrialState.FAILED, Cause.LOST, 2)
    assert trial.message == "lost 2 times, the last time: worker 2 died"


def test_an_executor_that_gives_a_task_up_has_lost_it(lab, storage):
    executor = Scripted(answer(lambda task: Outcome(task.number, task.attempt)))
    lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1).run()
    assert storage.read()[4].message == "the executor gave the task up"
    assert kinds(storage, 0) == ["proposed", "submitted", "lost", "submitted", "finished"]


def raised(task):
    return Outcome(task.number, task.attempt, cause=Cause.ERROR, message=f"attempt {task.attempt} raised")


def test_retries_count_by_cause(lab, storage):
    executor = Scripted(answer(raised), answer(lost), answer(raised), answer(finished))
    retries = Retries(lost=1, error=2)
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1, retries=retries)
    loop.run()
    assert kinds(storage, 0) == ["proposed", *["submitted", "lost"] * 3, "submitted", "finished"]
    lost_of = [event.cause for event in storage.read() if type(event).__name__ == "Lost"]
    assert lost_of == [Cause.ERROR, Cause.LOST, Cause.ERROR]


def test_a_trial_fails_when_the_retries_for_its_cause_are_spent(lab, storage):
    executor = Scripted(*[answer(raised)] * 9)
    loop = lab.loop(
        storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1, retries=Retries(error=1)
    )
    loop.run()
    trial = loop.state.trials[0]
    assert (trial.state, trial.cause, trial.attempt) == (TrialState.FAILED, Cause.ERROR, 2)
    assert trial.message == "failed 2 times, the last time: attempt 2 raised"


def test_what_is_final_is_not_tried_again(lab, storage):
    def poison(task):
        return Outcome(task.number, task.attempt, cause=Cause.LOST, message="it ended three workers", final=True)

    executor = Scripted(answer(poison))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=executor, trials=1, retries=5)
    loop.run()
    trial = loop.state.trials[0]
    assert (trial.state, trial.cause, trial.message) == (TrialState.FAILED, Cause.LOST, "it ended three workers")


# refused, equal, cached --------------------------------------------------------------------------------


def test_refused_candidates_are_trials_without_evaluation(lab, storage):
    genotypes = [lab.genotype(width=8), lab.genotype(op="odd", width=7), lab.genotype(width=7)]
    problem = lab.problem()
    optimizer, executor = lab.Listed(genotypes), Scripted()
    loop = lab.loop(storage, problem, optimizer, executor, trials=3)
    loop.run()
    refused, impossible, good = loop.state.trials.values()
    assert (refused.cause, refused.message) == (
        Cause.INVALID,
        "breaks the constraint parameters <= 70: parameters is 80",
    )
    assert refused.metrics == {"parameters": 80.0}
    assert refused.fingerprint
    assert (impossible.cause, impossible.message) == (Cause.INVALID, "an odd network cannot be 7 wide")
    assert impossible.metrics == {}
    assert good.state is TrialState.FINISHED
    assert [task.number for task in executor.tasks] == [2]
    assert kinds(storage, 0) == ["proposed", "failed"]
    assert (loop.state.evaluations, loop.state.counts["failed"]) == (1, 2)


def test_a_space_that_raises_fails_the_trial(lab, storage):
    class Space(type(lab.space)):
        def express(self, genotype):
            if genotype.slots[1] == 2:
                raise KeyError("width")
            return super().express(genotype)

    problem = lab.problem()
    problem = type(problem)(Space(lab.decisions), problem.objectives)
    optimizer = lab.Listed([lab.genotype(width=2), lab.genotype(width=3)])
    loop = lab.loop(storage, problem, optimizer, Scripted(), trials=2)
    loop.run()
    trial = loop.state.trials[0]
    assert (trial.cause, trial.message) == (Cause.ERROR, "the space could not express the genotype: KeyError: 'width'")
    assert loop.state.trials[1].state is TrialState.FINISHED


def test_an_equal_network_reuses_the_result(lab, storage):
    optimizer, executor = lab.Listed([lab.genotype(width=2), lab.genotype(width=2), lab.genotype(width=3)]), Scripted()
    loop = lab.loop(storage, optimizer=optimizer, executor=executor, trials=3)
    loop.run()
    assert kinds(storage, 1) == ["proposed", "finished"]
    assert loop.state.trials[1].duplicate_of == 0
    assert loop.state.trials[1].metrics == loop.state.trials[0].metrics
    assert [task.number for task in executor.tasks] == [0, 2]
    assert loop.state.counts["duplicates"] == 1


@pytest.mark.parametrize(
    ("end", "state"),
    [(finished, "finished"), (lambda task: Outcome(task.number, 1, cause=Cause.TIMEOUT, message="slow"), "failed")],
)
def test_equal_networks_at_once_wait_for_the_first(lab, storage, end, state):
    optimizer = lab.Listed([lab.genotype(width=2)] * 3 + [lab.genotype(width=3)])
    executor = Scripted(answer(end), slots=4)
    loop = lab.loop(storage, optimizer=optimizer, executor=executor, trials=4)
    loop.run()
    assert [task.number for task in executor.tasks] == [0, 3]
    for number in (1, 2):
        trial = loop.state.trials[number]
        assert (str(trial.state), trial.duplicate_of, trial.metrics) == (state, 0, loop.state.trials[0].metrics)
        assert (trial.cause, trial.message) == (loop.state.trials[0].cause, loop.state.trials[0].message)


def test_a_failed_network_is_tried_again_when_it_is_proposed_again(lab, storage):
    executor = Scripted(answer(lambda task: Outcome(task.number, 1, cause=Cause.TIMEOUT)))
    loop = lab.loop(storage, optimizer=lab.Listed([lab.genotype()] * 3), executor=executor, trials=3)
    loop.run()
    assert [task.number for task in executor.tasks] == [0, 1]
    assert loop.state.trials[2].duplicate_of == 1


def test_other_budgets_continued_trials_and_searches_that_want_it_evaluate_equal_networks(lab, storage):
    genotype = lab.genotype()
    proposals = [
        Proposal(genotype),
        Proposal(genotype, Budget(2)),
        Proposal(genotype, Budget(2), continues=1),
        Proposal(genotype, Budget(2)),
    ]
    executor = Scripted()
    loop = lab.loop(storage, optimizer=lab.Listed(proposals), executor=executor, trials=4)
    loop.run()
    assert [(task.number, task.budget, task.continues) for task in executor.tasks] == [
        (0, Budget(), None), (1, Budget(2), None), (2, Budget(2), 1),
    ]  # fmt: skip
    assert loop.state.trials[3].duplicate_of == 1
    executor = Scripted()
    lab.loop(optimizer=lab.Listed([genotype] * 3), executor=executor, trials=3, deduplicate=False).run()
    assert len(executor.tasks) == 3


def test_results_are_shared_through_the_cache(lab, storage):
    cache = memory_cache.create(memory_cache.config())
    first, second, other = Scripted(), Scripted(), Scripted()
    lab.loop(storage, optimizer=lab.Listed([lab.genotype()]), executor=first, cache=cache, trials=1, digest="d").run()
    loop = lab.loop(optimizer=lab.Listed([lab.genotype()]), executor=second, cache=cache, trials=1, digest="d")
    loop.run()
    lab.loop(optimizer=lab.Listed([lab.genotype()]), executor=other, cache=cache, trials=1, digest="e").run()
    assert [len(executor.tasks) for executor in (first, second, other)] == [1, 0, 1]
    assert loop.state.trials[0].metrics == {"accuracy": 0.5, "parameters": 10.0}
    assert (loop.state.trials[0].state, loop.state.evaluations) == (TrialState.FINISHED, 0)


def test_a_cache_that_is_down_or_wrong_does_not_stop_a_search(lab, caplog):
    class Cache:
        def get(self, key):
            if self.wrong:
                return {"accuracy": math.nan}
            raise ConnectionError("refused")

        def put(self, key, metrics):
            raise ConnectionError("refused")

    for wrong in (False, True):
        cache, executor = Cache(), Scripted()
        cache.wrong = wrong
        lab.loop(optimizer=lab.Listed([lab.genotype()]), executor=executor, cache=cache, trials=1).run()
        assert len(executor.tasks) == 1
    assert "the cache could not be read: ConnectionError: refused" in caplog.text
    assert "the cache could not be written: ConnectionError: refused" in caplog.text


# when it ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 4])
def test_trials_counts_all_trials(lab, slots):
    loop = lab.loop(executor=lab.Shuffled(lab.work(), np.random.default_rng(0), slots), trials=30)
    assert loop.run() == "30 trials are done"
    counts = loop.state.counts
    assert counts["duplicates"] > 0
    assert counts["failed"] > 0
    assert counts["finished"] + counts["failed"] == len(loop.state.trials) == 30


@pytest.mark.parametrize("slots", [1, 4])
def test_evaluations_counts_what_is_evaluated(lab, slots):
    executor = lab.Shuffled(lab.work(), np.random.default_rng(0), slots)
    loop = lab.loop(executor=executor, evaluations=20)
    assert loop.run() == "20 evaluations are done"
    assert len(executor.submitted) == loop.state.evaluations == 20
    assert len(loop.state.trials) > 20


def test_the_target_ends_the_search_at_once(lab):
    loop = lab.loop(target=0.9, trials=1000)
    reason = loop.run()
    best = loop.state.best
    assert (
        reason
        == f"the target is reached: accuracy is {best.metrics['accuracy']:g} in trial {best.number}, wanted was 0.9"
    )
    assert best.metrics["accuracy"] >= 0.9
    assert best.number == list(loop.state.over)[-1]


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def test_time_ends_the_search_and_running_trials_wait_for_more_time(lab, storage):
    clock = Clock()

    def slow(task):
        clock.now += 4.0
        return [] if task.number == 2 else [finished(task)]

    optimizer = lab.Listed([lab.genotype(width=width) for width in range(1, 8)])
    loop = lab.loop(storage, optimizer=optimizer, executor=Scripted(*[slow] * 3, slots=1), clock=clock, time=10.0)
    assert loop.run() == "the time of 10 s is up"
    assert loop.state.counts == {"finished": 2, "failed": 0, "stopped": 0, "running": 0, "pending": 1, "duplicates": 0}
    assert loop.state.elapsed() == 12.0
    assert loop.state.status == "ended"
    assert storage.read()[-3].message == "cut off: the time of 10 s is up"
    clock.now += 1000.0
    assert (
        lab.loop(storage, optimizer=optimizer, executor=Scripted(), clock=clock, time=10.0).run()
        == "the time of 10 s is up"
    )
    executor = Scripted()
    loop = lab.loop(storage, optimizer=optimizer, executor=executor, clock=clock, time=18.0)
    assert loop.run() == "the optimizer has no more to propose"
    assert [(task.number, task.attempt) for task in executor.tasks] == [(2, 2), (3, 1), (4, 1), (5, 1), (6, 1)]


def test_an_exhausted_optimizer_ends_the_search(lab):
    problem = lab.problem()
    loop = lab.loop(problem=problem, optimizer=lab.Climber(problem, ends=7))
    assert loop.run() == "the optimizer has no more to propose"
    assert len(loop.state.trials) == 7


def test_a_search_without_a_limit_on_trials_ends_when_nothing_new_comes(lab):
    class Stubborn:
        def ask(self, numbers, pending):
            return [Proposal(lab.genotype()) for _ in numbers]

        def tell(self, trials):
            """It learns nothing."""

    loop = lab.loop(optimizer=Stubborn(), evaluations=5)
    assert loop.run() == f"the last {IDLE} proposals gave nothing new to evaluate"
    assert (len(loop.state.trials), loop.state.evaluations) == (IDLE + 1, 1)


def test_more_trials_continue_an_ended_search(lab, storage):
    problem = lab.problem()
    lab.loop(storage, problem, trials=10).run()
    optimizer = lab.Climber(problem)
    loop = lab.loop(storage, problem, optimizer, trials=25)
    assert loop.run() == "25 trials are done"
    assert optimizer.told == list(range(25))
    assert optimizer.asked[0] == ((10,), (), 10)
    length = len(storage.read())
    assert lab.loop(storage, problem, trials=25).run() == "25 trials are done"
    assert [type(event).__name__ for event in storage.read()[length:]] == ["Opened", "Ended", "Closed"]


def test_an_optimizer_may_propose_fewer_than_asked(lab):
    class Shy(lab.Climber):
        def ask(self, numbers, pending):
            return super().ask(numbers[:1], pending) if len(pending) < 2 else []

    problem = lab.problem()
    executor = lab.Shuffled(lab.work(), np.random.default_rng(3), 4)
    loop = lab.loop(problem=problem, optimizer=Shy(problem), executor=executor, trials=20)
    assert loop.run() == "20 trials are done"


# finalists ---------------------------------------------------------------------------------------------


def test_leaders_are_evaluated_again_inside_the_budget(lab, storage):
    problem = lab.problem()
    optimizer = lab.Climber(problem)
    executor = lab.Shuffled(lab.work(), np.random.default_rng(1), 3, 0.1)
    finals = lab.Finalists(top=3, repeats=2, epochs=9)
    loop = lab.loop(
        storage, problem, optimizer, executor, trials=30, finalists=finals, make_stopper=lab.BelowMean, retries=99
    )
    assert loop.run() == "30 trials are done"
    state = loop.state
    repeats = [trial for trial in state.trials.values() if trial.repeat_of is not None]
    assert [trial.number for trial in repeats] == list(range(24, 30))
    assert {trial.repeat_of for trial in repeats} == {trial.number for trial in state.leaders(3)}
    assert all(trial.budget == Budget(9) and trial.state is TrialState.FINISHED for trial in repeats)
    assert all(trial.genotype == state.trials[trial.repeat_of].genotype for trial in repeats)
    assert len({trial.metrics["accuracy"] for trial in repeats}) == 6
    assert sorted(optimizer.told) == list(range(24))
    means = {f.trial.number: np.mean([state.trials[n].metrics["accuracy"] for n in f.repeats]) for f in state.finalists}
    assert state.best.repeat_of == max(means, key=means.get)
    assert state.best.metrics["accuracy"] == max(
        trial.metrics["accuracy"] for trial in repeats if trial.repeat_of == state.best.repeat_of
    )
    again = lab.loop(storage, problem, trials=30, finalists=finals)
    assert again.run() == "30 trials are done"
    assert len(again.state.trials) == 30


def test_finals_that_are_broken_off_go_on(lab, storage):
    finals = lab.Finalists(top=3, repeats=2)
    for life in range(100):
        try:
            loop = lab.loop(lab.Dying(storage, 9, stored=life % 2), trials=16, finalists=finals, window=2)
            loop.run()
            break
        except lab.Death:
            continue
    calm = lab.loop(trials=16, finalists=finals, window=2)
    calm.run()
    assert life > 3
    assert lab.table(loop.state) == lab.table(calm.state)
    assert loop.state.best.number == calm.state.best.number


# stopping, resuming, retrying --------------------------------------------------------------------------


def test_a_stopped_search_is_interrupted_and_goes_on(lab, storage):
    problem = lab.problem()
    executor = lab.Shuffled(lab.work(), np.random.default_rng(1), 3)

    class Listener:
        def notify(self, event, state):
            if state.counts["finished"] >= 5:
                loop.stop()

    loop = lab.loop(storage, problem, executor=executor, listener=Listener(), trials=20)
    assert loop.run() == INTERRUPTED
    assert executor.closed
    assert (loop.state.status, loop.state.counts["running"]) == ("interrupted", 0)
    cut = [number for number in loop.state.active if loop.state.attempts_of(number)]
    assert cut
    assert all(kinds(storage, number)[-1] == "lost" for number in cut)
    loop = lab.loop(storage, problem, executor=lab.Shuffled(lab.work(), np.random.default_rng(2), 3), trials=20)
    assert loop.run() == "20 trials are done"
    assert all(loop.state.trials[number].attempt == 2 and not loop.state.losses_of(number) for number in cut)


def test_a_resumed_optimizer_hears_everything_that_is_over_in_order(lab, storage):
    problem = lab.problem()
    first = lab.Climber(problem)
    executor = lab.Shuffled(lab.work(), np.random.default_rng(5), 4)
    lab.loop(storage, problem, first, executor, trials=20).run()
    second = lab.Climber(problem)
    lab.loop(storage, problem, second, trials=20).run()
    assert second.told == first.told
    assert second.told != sorted(second.told)
    assert second.best == first.best


def test_an_error_in_the_optimizer_closes_the_experiment(lab, storage):
    class Broken(lab.Climber):
        def tell(self, trials):
            if len(self.told) == 3:
                raise ZeroDivisionError("oh")
            super().tell(trials)

    problem = lab.problem()
    executor = lab.Shuffled(lab.work(), np.random.default_rng(5), 3)
    loop = lab.loop(storage, problem, Broken(problem), executor, trials=20)
    with pytest.raises(ZeroDivisionError):
        loop.run()
    assert executor.closed
    assert State.of(storage.read()).status == "interrupted"
    assert lab.loop(storage, problem, trials=20).run() == "20 trials are done"


def test_retried_trials_run_again_even_when_the_search_has_ended(lab, storage):
    fail = answer(lambda task: Outcome(task.number, task.attempt, cause=Cause.ERROR, message="no"))
    genotypes = [lab.genotype(width=1), lab.genotype(width=1), lab.genotype(width=8), lab.genotype(width=3)]
    lab.loop(storage, optimizer=lab.Listed(genotypes), executor=Scripted(fail, slots=4), trials=4).run()
    assert State.of(storage.read()).counts["failed"] == 3
    assert retry(storage, Settings("x")) == [0, 1, 2]
    state = State.of(storage.read())
    assert (state.status, state.counts["pending"]) == ("interrupted", 3)
    executor = Scripted()
    loop = lab.loop(storage, optimizer=lab.Listed(genotypes), executor=executor, trials=4)
    assert loop.run() == "4 trials are done"
    assert [(task.number, task.attempt) for task in executor.tasks] == [(0, 2)]
    assert loop.state.trials[1].metrics == loop.state.trials[0].metrics == {"accuracy": 0.5, "parameters": 10.0}
    assert loop.state.trials[2].cause is Cause.INVALID
    assert loop.state.history(2) == ["proposed", "failed", "retried", "failed"]


def test_a_search_in_processes_that_resumes_in_another_executor(lab, storage):
    problem = lab.problem()
    lab.loop(storage, problem, trials=8).run()
    executor = lab.Shuffled(lab.work(), np.random.default_rng(5), 3)
    assert lab.loop(storage, problem, executor=executor, trials=16).run() == "16 trials are done"


def test_tasks_carry_what_the_settings_say(lab, storage):
    from morphml_core.problem import Resources

    executor, problem = Scripted(), lab.problem()
    optimizer = lab.Listed([Proposal(lab.genotype(), Budget(3, 0.5), priority=2.0, origin="here")])
    resources = Resources(2.0, 1 << 30, 0.5)
    loop = lab.loop(storage, problem, optimizer, executor, trials=1, timeout=7.0, resources=resources)
    loop.run()
    task = executor.tasks[0]
    assert (task.budget, task.priority, task.resources, task.timeout) == (Budget(3, 0.5), 2.0, resources, 7.0)
    trial = loop.state.trials[0]
    assert (trial.origin, trial.priority, trial.duration) == ("here", 2.0, 1.5)
