import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime

import numpy as np
import psutil
import pytest

from morphml_core.errors import HeldError, StorageError
from morphml_core.experiment import events
from morphml_core.experiment.journal import is_alive, open_journal, retry, status, this_process
from morphml_core.experiment.settings import Settings
from morphml_core.experiment.state import State
from morphml_core.space.decisions import Genotype

HERE = socket.gethostname()
SINCE = datetime(2030, 5, 17, 12, 30, 0).timestamp()


@pytest.fixture
def storage(lab):
    return lab.Memory().open("digits")


@pytest.fixture
def other_process():
    """A living process that is not this one."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield psutil.Process(process.pid)
    process.communicate(b"\n")


def hold(storage, host, pid, started):
    storage.append([events.Started({}, {}, SINCE), events.Opened(host, pid, started, SINCE)], 0)


def refused(storage, **options):
    with pytest.raises(HeldError) as caught:
        open_journal(storage, Settings("digits", **options), None)
    return str(caught.value)


def test_a_living_process_on_this_host_holds_it(storage, other_process):
    hold(storage, HERE, other_process.pid, other_process.create_time())
    sentence = f"experiment 'digits' is held by process {other_process.pid} on host {HERE} since 2030-05-17 12:30:00; wait for it, or stop it"
    assert refused(storage) == refused(storage, take_over=True) == sentence
    assert len(storage.read()) == 2


def test_a_process_on_another_host_holds_it_until_somebody_says_otherwise(storage):
    hold(storage, "mars", 17, 1.0)
    assert refused(storage) == (
        "experiment 'digits' is held by process 17 on host mars since 2030-05-17 12:30:00; whether it lives cannot be seen from here: "
        "wait for it, stop it, or take the experiment over with --take-over"
    )
    journal = open_journal(storage, Settings("digits", take_over=True), None)
    assert journal.state.holder.pid == os.getpid()


def test_a_dead_process_is_followed_silently(storage, other_process):
    hold(storage, HERE, other_process.pid, other_process.create_time() - 100.0)
    assert is_alive(storage.read()[1]) is False
    assert open_journal(storage, Settings(), None).state.holder.host == HERE


def test_a_process_that_is_no_more_is_dead():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert is_alive(events.Opened(HERE, gone.pid, 1.0, 1.0)) is False
    assert is_alive(events.Opened("mars", gone.pid, 1.0, 1.0)) is None
    assert is_alive(this_process(1.0)) is True


def test_the_status_of_an_experiment_whose_process_died_is_interrupted(other_process):
    def held(host, started):
        return State.of([events.Started({}, {}, SINCE), events.Opened(host, other_process.pid, started, SINCE)])

    assert status(State()) == "new"
    assert status(held(HERE, other_process.create_time())) == "running"
    assert status(held(HERE, other_process.create_time() - 100.0)) == "interrupted"
    assert status(held("mars", 1.0)) == "running"


def test_opening_starts_a_new_experiment_and_queues_what_was_running(storage):
    settings = Settings("digits", {"seed": 1}, {"morphml-core": "0.1.0"})
    journal = open_journal(storage, settings, None, clock=lambda: 5.0)
    started, opened = storage.read()
    assert started == events.Started({"seed": 1}, {"morphml-core": "0.1.0"}, 5.0)
    assert opened == this_process(5.0)
    journal.add(events.Proposed(0, Genotype((1,)), "", 6.0))
    journal.add(events.Submitted(0, 1, 6.0))
    journal.commit()
    open_journal(storage, settings, None, clock=lambda: 9.0)
    assert storage.read()[4:] == [
        this_process(9.0),
        events.Lost(0, "interrupted: the process that ran the search ended", 9.0, counted=False),
    ]


def test_of_two_that_open_at_once_one_is_told_of_the_other(storage, other_process):
    class Late:
        """Another process is faster between reading and writing."""

        def read(self, after=0):
            return storage.read(after)

        def append(self, added, expected):
            if len(storage.read()) == 0:
                hold(storage, HERE, other_process.pid, other_process.create_time())
            storage.append(added, expected)

    assert refused(Late()) == (
        f"experiment 'digits' is held by process {other_process.pid} on host {HERE} since 2030-05-17 12:30:00; wait for it, or stop it"
    )


def test_a_search_that_is_taken_over_stops_and_says_by_whom(lab, storage):
    executor = lab.Shuffled(lab.work(), np.random.default_rng(0), 3)

    class Listener:
        def notify(self, event, state):
            if state.counts["finished"] == 4 and len(storage.read()) == state.index:
                storage.append([events.Opened("mars", 17, 1.0, 1.0)], state.index)

    loop = lab.loop(storage, executor=executor, listener=Listener(), trials=50, name="digits")
    with pytest.raises(HeldError) as caught:
        loop.run()
    assert str(caught.value) == (
        "experiment 'digits' was taken over by process 17 on host mars; this process has stopped, and the other goes on with the search"
    )
    assert executor.closed
    assert storage.read()[-1] == events.Opened("mars", 17, 1.0, 1.0)


def test_two_searches_of_one_experiment_in_two_threads_do_every_trial_once(lab, storage):
    ends = []

    def search(seed):
        executor = lab.Shuffled(lab.work(), np.random.default_rng(seed), 3)
        try:
            ends.append(lab.loop(storage, executor=executor, trials=60).run())
        except HeldError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = State.of(storage.read())
    assert len(state.trials) == 60
    assert "60 trials are done" in ends


def test_retry_refuses_what_did_not_fail(lab, storage):
    settings = Settings("digits")
    with pytest.raises(StorageError) as caught:
        retry(storage, settings)
    assert str(caught.value) == "experiment 'digits' has not started, so there is nothing to retry"
    loop = lab.loop(storage, trials=20)
    loop.run()
    failed = [number for number, trial in loop.state.trials.items() if trial.cause]
    finished = next(number for number, trial in loop.state.trials.items() if not trial.cause)
    for numbers, sentence in (
        (
            [failed[0], finished],
            f"trial {finished} cannot be retried: it is finished, and only failed trials are retried",
        ),
        ([99], "trial 99 cannot be retried: experiment 'digits' has trials 0 to 19"),
    ):
        with pytest.raises(StorageError) as caught:
            retry(storage, settings, numbers)
        assert str(caught.value) == sentence
    length = len(storage.read())
    assert retry(storage, settings, []) == []
    assert len(storage.read()) == length
    assert retry(storage, settings, failed[:1]) == failed[:1]
    assert retry(storage, settings) == failed[1:]
    assert [type(event).__name__ for event in storage.read()[length : length + 3]] == ["Opened", "Retried", "Closed"]


def test_retry_waits_for_no_living_search(storage, other_process):
    hold(storage, HERE, other_process.pid, other_process.create_time())
    storage.append(
        [events.Proposed(0, Genotype((1,)), "", 1.0), events.Failed(0, "error", "", 1.0)],
        2,
    )
    with pytest.raises(HeldError, match="wait for it, or stop it"):
        retry(storage, Settings("digits"))


# Ctrl-C ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_while_evaluating_closes_the_experiment(lab, storage, number):
    class Patient(type(lab.evaluate)):
        def evaluate(self, task, candidate, workbench):
            if task.number == 3 and task.attempt == 1:
                threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
                time.sleep(30.0)
            return (yield from super().evaluate(task, candidate, workbench))

    before = signal.getsignal(number)
    loop = lab.loop(storage, evaluator=Patient(), trials=12)
    since = time.monotonic()
    assert loop.run() == "interrupted"
    assert time.monotonic() - since < 10.0
    assert signal.getsignal(number) is before
    assert loop.stopped_by is number
    assert State.of(storage.read()).status == "interrupted"
    loop = lab.loop(storage, evaluator=Patient(), trials=12)
    assert loop.run() == "12 trials are done"
    assert loop.state.trials[3].attempt == 2


def test_a_signal_that_is_ignored_stays_so(lab, storage):
    class Interrupting(lab.Climber):
        def ask(self, numbers, pending):
            signal.raise_signal(signal.SIGHUP)
            return super().ask(numbers, pending)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        problem = lab.problem()
        loop = lab.loop(storage, problem=problem, optimizer=Interrupting(problem), trials=5)
        assert loop.run() == "5 trials are done"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_anywhere_else_waits_until_the_log_is_written(lab, storage):
    class Interrupting(lab.Climber):
        def ask(self, numbers, pending):
            if numbers[0] == 4:
                signal.raise_signal(signal.SIGINT)
            return super().ask(numbers, pending)

    problem = lab.problem()
    loop = lab.loop(storage, problem, Interrupting(problem, patience=0), trials=12)
    assert loop.run() == "interrupted"
    state = State.of(storage.read())
    assert len(state.trials) == 5
    assert (state.status, state.counts["running"]) == ("interrupted", 0)


def test_a_second_ctrl_c_breaks_off_at_once_and_the_search_can_be_resumed(lab, storage):
    class Interrupting(lab.Climber):
        def ask(self, numbers, pending):
            if numbers[0] == 4:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return super().ask(numbers, pending)

    problem = lab.problem()
    with pytest.raises(KeyboardInterrupt):
        lab.loop(storage, problem, Interrupting(problem), trials=12).run()
    assert lab.loop(storage, problem, trials=12).run() == "12 trials are done"


def test_a_program_with_its_own_handler_keeps_it(lab, storage):
    def own(number, frame):
        """Nothing."""

    before = signal.signal(signal.SIGINT, own)
    try:

        class Looking(lab.Climber):
            def ask(self, numbers, pending):
                assert signal.getsignal(signal.SIGINT) is own
                return super().ask(numbers, pending)

        problem = lab.problem()
        lab.loop(storage, problem, Looking(problem), trials=2).run()
    finally:
        signal.signal(signal.SIGINT, before)
