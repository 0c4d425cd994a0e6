"""The tasks that a worker has: those that wait, that run, and whose results the master has not acknowledged yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import attrs

from morphml_core.problem import Outcome, Report, Task
from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import codec
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.worker.admission import Job
from morphml_distributed.worker.log import Log
from morphml_distributed.worker.runners import Happened, Runner

_REPORTS = 10_000
"""So many reports of a task are kept, to be sent again."""


class Send(Protocol):
    """Sends a frame, where there is a master to send it to.  It tells that the task of a lease `began` or has `ended`."""

    def __call__(self, frame: pb.WorkerFrame, began: m.Lease | None = None, ended: m.Lease | None = None) -> None:
        """Send it, or let it be."""


@attrs.define(eq=False)
class Entry:
    """A task, under the lease that was given last, and all that it has said.

    `successor` is what is to be run of the trial when this attempt has ended.
    """

    lease: m.Lease
    task: Task
    devices: tuple[str, ...]
    began: bool = False
    cancelled: bool = False
    step: int = 0
    reports: deque[Report] = attrs.field(factory=lambda: deque(maxlen=_REPORTS))
    outcome: Outcome | None = None
    successor: m.Assign | None = None

    def failed_before(self, task: Task) -> bool:
        """Whether it has failed, and this is the next attempt: the master knows of the failure, although it could not acknowledge it."""
        return self.outcome is not None and self.outcome.metrics is None and task.attempt != self.task.attempt

    def ended_another(self, task: Task) -> bool:
        """Whether it has ended, and was another network, or another seed, under that number: the record was begun anew."""
        return self.outcome is not None and not _same(self.task, task)


class Ledger:
    """Takes the master's instructions and the runner's news, and keeps what each task has come to until the master knows it."""

    def __init__(self, send: Send, log: Log) -> None:
        self._send = send
        self._log = log
        self._entries: dict[int, Entry] = {}
        self._fresh: list[Job] = []
        self.runner: Runner | None = None
        self.draining = False

    # what there is ------------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all."""
        return not self._entries

    @property
    def resting(self) -> bool:
        """Whether nothing runs or waits; results may still have to be acknowledged."""
        return all(entry.outcome is not None for entry in self._entries.values())

    def held(self, results: bool) -> list[m.Held]:
        """The tasks that it has; with those that have ended and whose results are still to be acknowledged, or without."""
        return [
            m.Held(number, entry.task.attempt, entry.lease, entry.began, entry.step)
            for number, entry in self._entries.items()
            if results or entry.outcome is None
        ]

    # what the master says -----------------------------------------------------------------------------

    def hear(self, said: m.Instruction) -> None:
        """Follow an instruction; `flush` then lets new tasks begin."""
        if isinstance(said, m.Assign):
            self._assign(said)
        elif isinstance(said, m.Acknowledge):
            self._acknowledge(said)
        elif isinstance(said, m.Cancel):
            self._cancel(said)
        elif isinstance(said, m.Revoke):
            self._revoke(said)

    def flush(self) -> None:
        """Hand the new tasks to the runner, all at once."""
        if self._fresh and self.runner is not None:
            jobs, self._fresh = self._fresh, []
            self.runner.submit(jobs)

    def _assign(self, said: m.Assign) -> None:
        number = said.task.number
        entry = self._entries.get(number)
        if self.draining and entry is None:
            self._send(codec.returned_frame(said.lease, number))
        elif entry is None or entry.failed_before(said.task) or entry.ended_another(said.task):
            self._entries[number] = Entry(said.lease, said.task, said.gpus)
            self._fresh.append(Job(said.task, said.gpus))
        elif said.lease == entry.lease:
            pass  # said twice
        elif entry.outcome is None and (entry.cancelled or not _same(entry.task, said.task)):
            entry.successor = said
            self._end(number, entry)
        else:
            self._go_on(entry, said)

    def _go_on(self, entry: Entry, said: m.Assign) -> None:
        """A task that it has already is wanted under a new lease: the work that was done counts."""
        entry.lease, entry.task = said.lease, said.task
        self._again(entry)

    def _acknowledge(self, said: m.Acknowledge) -> None:
        entry = self._entries.get(said.number)
        if entry is not None and entry.outcome is not None and (said.used or said.lease == entry.lease):
            del self._entries[said.number]

    def _cancel(self, said: m.Cancel) -> None:
        entry = self._entries.get(said.number)
        if entry is None or entry.lease != said.lease:
            return
        if entry.outcome is not None:
            del self._entries[said.number]
        else:
            self._end(said.number, entry)

    def _end(self, number: int, entry: Entry) -> None:
        """End a task that waits or runs."""
        self.flush()
        entry.cancelled = True
        if self.runner is None or self.runner.withdraw(number):
            self._ended(entry, Outcome(number, entry.task.attempt))
        else:
            self.runner.cancel(number)

    def _revoke(self, said: m.Revoke) -> None:
        entry = self._entries.get(said.number)
        if entry is not None and entry.lease == said.lease:
            self._give_back(said.number, entry)

    def _give_back(self, number: int, entry: Entry) -> None:
        self.flush()
        if not entry.began and self.runner is not None and self.runner.withdraw(number):
            del self._entries[number]
            self._send(codec.returned_frame(entry.lease, number))

    # what the runner says -----------------------------------------------------------------------------

    def take(self, happened: Sequence[Happened]) -> None:
        """Tell the master what has happened."""
        for job, news in happened:
            entry = self._entries.get(job.task.number)
            if entry is None:
                continue
            if news is None:
                entry.began = True
                self._send(codec.began_frame(entry.lease, job.task.number), began=entry.lease)
                self._log.trial("begins", job.task.number, entry.task.attempt, "begins")
            elif isinstance(news, Outcome):
                self._ended(entry, news)
            else:
                self._reported(entry, news)

    def _reported(self, entry: Entry, report: Report) -> None:
        try:
            frame = _report_frame(entry, report)
        except codec.WireError as error:
            text = f"trial {report.number} has reported what cannot be sent: {error}"
            self._log.say("report", text, trial=report.number)
            return
        entry.step = max(entry.step, report.step)
        entry.reports.append(report)
        self._send(frame)

    def _ended(self, entry: Entry, outcome: Outcome) -> None:
        entry.outcome = outcome
        self._hand_over(entry)
        self._log.trial("ends", outcome.number, entry.task.attempt, _told(outcome))
        if entry.successor is not None:
            del self._entries[outcome.number]
            self._assign(entry.successor)

    def _hand_over(self, entry: Entry) -> None:
        assert entry.outcome is not None
        outcome = entry.outcome
        if outcome.attempt != entry.task.attempt:
            outcome = attrs.evolve(outcome, attempt=entry.task.attempt)
        self._send(codec.result_frame(entry.lease, outcome), ended=entry.lease)

    # leaving and coming back --------------------------------------------------------------------------

    def rejoin(self) -> None:
        """The master listens again: it gets what may have been lost on the way."""
        for entry in self._entries.values():
            self._again(entry)

    def _again(self, entry: Entry) -> None:
        """Tell all of a task once more: who has heard some of it knows it by its steps."""
        if entry.began and entry.outcome is None:
            self._send(codec.began_frame(entry.lease, entry.task.number))
        for report in entry.reports:
            self._send(_report_frame(entry, report))
        if entry.outcome is not None:
            self._hand_over(entry)

    def drain(self) -> None:
        """Give back what has not begun, and take nothing any more."""
        self.draining = True
        for number, entry in list(self._entries.items()):
            self._give_back(number, entry)

    def forget(self) -> None:
        """Nobody wants any of it."""
        self._entries.clear()
        self._fresh.clear()


def _report_frame(entry: Entry, report: Report) -> pb.WorkerFrame:
    """A report under the present lease and attempt of its task."""
    if report.attempt != entry.task.attempt:
        report = attrs.evolve(report, attempt=entry.task.attempt)
    return codec.report_frame(entry.lease, report)


def _same(one: Task, other: Task) -> bool:
    """Whether two attempts at a trial evaluate the same."""
    return (one.genotype, one.seed, one.budget, one.continues) == (
        other.genotype, other.seed, other.budget, other.continues,
    )  # fmt: skip


def _told(outcome: Outcome) -> str:
    if outcome.metrics is not None:
        return f"ends in {outcome.duration:.1f} s"
    if outcome.cause is None:
        return "was cancelled"
    first = outcome.message.partition("\n")[0]
    return f"fails ({outcome.cause}): {first}" if first else f"fails ({outcome.cause})"
