"""What a worker keeps belongs to the very task that it was given."""

import io

import pytest

from morphml_core.problem import Cause, Outcome, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch import messages as m
from morphml_distributed.worker.admission import Job
from morphml_distributed.worker.ledger import Ledger
from morphml_distributed.worker.log import Log


class Runner:
    """Only notes what it is to run."""

    def __init__(self):
        self.submitted = []

    def submit(self, jobs):
        self.submitted += [job.task for job in jobs]


@pytest.fixture
def sent():
    return []


@pytest.fixture
def ledger(sent):
    found = Ledger(lambda frame, began=None, ended=None: sent.append(frame.WhichOneof("kind")), Log("w", io.StringIO()))
    found.runner = Runner()
    return found


def task(attempt=1, slot=0, seed=5):
    return Task(7, Genotype((slot,)), seed, attempt)


def give(ledger, term, given):
    ledger.hear(m.Assign("w", m.Lease(term, 1), given))
    ledger.flush()


def end(ledger, given, outcome):
    ledger.take([(Job(given), None), (Job(given), outcome)])


def test_a_result_is_said_again_under_a_new_lease(ledger, sent):
    give(ledger, 1, task())
    end(ledger, task(), Outcome(7, 1, {"loss": 1.0}))
    sent.clear()
    give(ledger, 2, task(attempt=2))
    assert sent == ["result"]
    assert ledger.runner.submitted == [task()]


@pytest.mark.parametrize("other", [task(attempt=2, slot=1), task(attempt=2, seed=6)])
def test_another_task_of_that_number_is_run(ledger, sent, other):
    give(ledger, 1, task())
    end(ledger, task(), Outcome(7, 1, {"loss": 1.0}))
    sent.clear()
    give(ledger, 2, other)
    assert sent == []
    assert ledger.runner.submitted == [task(), other]


def test_a_failure_is_no_result_of_the_next_attempt(ledger, sent):
    give(ledger, 1, task())
    end(ledger, task(), Outcome(7, 1, None, Cause.ERROR, "it raised"))
    sent.clear()
    give(ledger, 2, task(attempt=2))
    assert sent == []
    assert ledger.runner.submitted == [task(), task(attempt=2)]
