"""`Worker`: joins a master, runs its tasks, and finds it again when it was gone."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Literal

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.plugins.catalogue import Catalogue
from morphml_distributed.dispatch.messages import Assign, Capacity, Evict, Lease
from morphml_distributed.folders import PrivateFolder
from morphml_distributed.resources import Examiner
from morphml_distributed.security.settings import Security
from morphml_distributed.security.tokens import WORKER, proof, token_of
from morphml_distributed.wire import codec, joining, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.worker.admission import Admission
from morphml_distributed.worker.artifacts import MasterArtifacts, SessionKey
from morphml_distributed.worker.ledger import Ledger
from morphml_distributed.worker.link import Ended, Link
from morphml_distributed.worker.log import Log
from morphml_distributed.worker.runners import Processes, Runner, Threads
from morphml_distributed.worker.waker import Waker
from morphml_distributed.worker.workload import WorkerWorkload, built

_FIRST_PAUSE, _SHORT_PAUSE, _LONGEST_PAUSE = 0.1, 0.5, 2.0
_SOON = 30.0
"""So many seconds after the master was lost, it is looked for after short pauses: it may be starting again."""
_WELCOME = 30.0
"""Seconds that a connection may take until the master's welcome."""
_GOODBYE = 2.0
_LAST_STEP = 0.5
"""Seconds that running tasks have at the deadline."""

FAILED, REFUSED = 1, 2
"""Exit codes."""


@attrs.frozen
class Settings:
    """What `morphml worker` was told.

    `folder` is where relative paths and `python:` references of the configuration are looked for.  `deadline`: seconds that a worker
    which was asked to end waits for its trials.  `patience`: seconds without a master after which it gives up (None: never).
    `stay`: it waits for the next master when one has ended; otherwise it ends too.
    """

    master: str
    name: str
    folder: Path
    capacity: Capacity
    slots: int
    isolation: Literal["processes", "none"] = "processes"
    deadline: float = 30.0
    security: Security = attrs.field(factory=Security)
    patience: float | None = None
    stay: bool = True


class _AtOnce(BaseException):
    """A second signal has come: end now."""


class Worker:
    """One worker.  `run` does all of it in the calling thread, which must be the main one where signals are to be heard."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._waker = Waker()
        self._inbox: deque[tuple[Link, pb.ToWorker | Ended]] = deque()
        self._ledger = Ledger(self._send, log)
        self._private = PrivateFolder("worker")
        self._key = SessionKey(self._private.path / "session")
        self._examiner = Examiner(settings.folder, settings.capacity.gpus)
        self._distributions = _distributions()
        self._link: Link | None = None
        self._joined = False
        self._experiment = ""
        self._identity: tuple[Any, ...] | None = None
        self._received = 0
        self._heartbeat = 1.0
        self._pause = _FIRST_PAUSE
        self._lost = monotonic()
        self._complaint = ""
        self._draining = ""
        self._signals: list[int] = []
        self._due: dict[Callable[[], None], float] = {}
        self._code: int | None = None
        self._code_when_done = 0

    def run(self) -> int:
        """Work until told to end; returns the exit code.  Raises `SecurityError` where the files cannot be used at all."""
        token_of(self._settings.security)
        self._due[self._connect] = monotonic()
        self._lose_patience_later()
        try:
            with self._hearing_signals():
                while self._code is None:
                    self._step()
        except _AtOnce:
            self._say("ends", "ends at once")
            self._close_runner(0.0)
            self._code = 128 + self._signals[-1]
        finally:
            self._close()
        return self._code

    def stop(self, reason: str) -> None:
        """Ask it to drain and end, from another thread or a signal's handler."""
        self._draining = self._draining or reason
        self._waker.wake()

    # the loop -------------------------------------------------------------------------------------------

    def _step(self) -> None:
        now = monotonic()
        for due in [due for due, when in self._due.items() if when <= now]:
            if self._due.get(due, now) <= now:
                self._due.pop(due, None)
                due()
        self._wait(max(0.0, min(self._due.values(), default=now + 1.0) - monotonic()))
        while self._inbox and self._code is None:
            self._hear(*self._inbox.popleft())
        self._ledger.flush()
        if self._draining and self._code is None:
            self._drain()

    def _wait(self, timeout: float) -> None:
        runner = self._ledger.runner
        if runner is None:
            if not self._inbox:
                select.select([self._waker], [], [], timeout)
            self._waker.clear()
            return
        self._ledger.take(runner.poll(0.0 if self._inbox else timeout))
        if runner.trouble and not self._draining:
            self._say("trouble", f"no process for trials can be set up: {runner.trouble}")
            self._code_when_done = FAILED
            self._draining = "no process for trials can be set up"

    def _post(self, link: Link, message: pb.ToWorker | Ended) -> None:
        self._inbox.append((link, message))
        self._waker.wake()

    def _send(self, frame: pb.WorkerFrame, began: Lease | None = None, ended: Lease | None = None) -> None:
        if self._joined and self._link is not None:
            self._link.outbox.put(frame, began, ended)

    def _say(self, event: str, text: str) -> None:
        self._log.say(event, text)

    # the connection -------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._link = Link(self._settings.master, self._settings.security, self._post)
        self._due[self._give_up_link] = monotonic() + _WELCOME

    def _give_up_link(self) -> None:
        self._complain(f"the master at {self._settings.master} does not answer")
        self._drop_link()

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link, self._joined = None, False
        self._due.pop(self._give_up_link, None)
        self._due.pop(self._beat, None)
        self._due[self._connect] = monotonic() + self._pause * random.uniform(0.5, 1.0)
        soon = monotonic() < self._lost + _SOON
        self._pause = min(_SHORT_PAUSE if soon else _LONGEST_PAUSE, 2 * self._pause)
        self._lose_patience_later()

    def _lose_patience_later(self) -> None:
        if self._settings.patience is not None:
            self._due.setdefault(self._lose_patience, monotonic() + self._settings.patience)

    def _lose_patience(self) -> None:
        self._say("gives_up", f"there was no master at {self._settings.master} for {self._settings.patience:g} s")
        self._code = FAILED

    def _complain(self, reason: str) -> None:
        """Say why there is no master, once for each reason."""
        if reason != self._complaint:
            self._complaint = reason
            self._say("waiting", f"{reason}; waiting")

    def _hear(self, link: Link, message: pb.ToWorker | Ended) -> None:
        if link is not self._link:
            return
        if isinstance(message, Ended):
            self._hear_end(message)
        elif message.HasField("challenge"):
            self._answer(link, message.challenge)
        elif message.HasField("welcome"):
            self._enter(message.welcome)
        elif message.HasField("refusal"):
            self._hear_refusal(message.refusal)
        else:
            self._follow(message)

    def _hear_end(self, ended: Ended) -> None:
        was_joined = self._joined
        if was_joined:
            self._lost = monotonic()
        self._drop_link()
        if was_joined and ended.clean and not self._settings.stay:
            self._say("ends", "the master has ended")
            self._code = 0
        elif was_joined:
            self._complain("the master has ended" if ended.clean else "the master is gone")
        else:
            self._complain(ended.reason or f"the master at {self._settings.master} has closed the connection")

    def _hear_refusal(self, refusal: pb.Refusal) -> None:
        if refusal.final:
            self._say("refused", f"refused: {refusal.reason}")
            self._code = REFUSED
        else:
            self._complain(f"refused: {refusal.reason}")
            self._drop_link()

    def _answer(self, link: Link, challenge: pb.Challenge) -> None:
        settings = self._settings
        try:
            nonce = joining.nonce_of(challenge)
            token = token_of(settings.security)
        except MorphMLError as error:
            return self._hear_refusal(pb.Refusal(reason=str(error), final=challenge.protocol != limits.PROTOCOL))
        greeting = joining.Greeting(
            settings.name,
            proof(token, nonce, WORKER, settings.name),
            settings.capacity,
            self._distributions,
            tuple(self._ledger.held(results=True)),
            self._experiment,
        )
        return link.outbox.hello(joining.hello_message(greeting))

    # joined ---------------------------------------------------------------------------------------------

    def _enter(self, welcome: pb.Welcome) -> None:
        self._due.pop(self._give_up_link, None)
        self._due.pop(self._lose_patience, None)
        self._pause, self._complaint = _FIRST_PAUSE, ""
        self._joined = True
        try:
            self._prepare(joining.reception_of(welcome))
        except MorphMLError as error:
            self._say("unable", f"unable to work for this master: {error}")
            self._send(codec.unable_frame(str(error)))
            return
        self._send(codec.ready_frame())
        self._say("joined", f"joined as {self._settings.name} ({described(self._settings.capacity)})")
        self._ledger.rejoin()
        self._beat()
        if self._draining:
            self._send(codec.draining_frame(self._draining))

    def _prepare(self, reception: joining.Reception) -> None:
        """Have a runner for this experiment: the present one goes on where it is the same."""
        self._heartbeat, self._received = reception.heartbeat, 0
        self._key.write(reception.session_key)
        identity = (reception.experiment, reception.workload, reception.shared_artifacts)
        ledger = self._ledger
        if ledger.runner is not None and identity == self._identity and (reception.keep_held or ledger.empty):
            return
        self._close_runner(0.0)
        if not ledger.empty:
            self._say("dropped", "what it held belongs to another search, and is dropped")
        ledger.forget()
        self._identity, self._experiment = identity, reception.experiment
        settings = self._settings
        artifacts = (
            None if reception.shared_artifacts else MasterArtifacts(settings.master, settings.security, self._key)
        )
        ledger.runner = self._runner(built(reception.workload, settings.folder, artifacts))

    def _runner(self, workload: WorkerWorkload) -> Runner:
        settings = self._settings
        admission = Admission(settings.capacity, settings.slots)
        if settings.isolation == "none":
            return Threads(workload, admission, settings.slots, self._waker)
        return Processes(workload, admission, settings.slots, self._waker)

    def _follow(self, message: pb.ToWorker) -> None:
        for frame in message.frames:
            try:
                said = codec.instruction_of(self._settings.name, 0, frame)
            except codec.WireError as error:
                self._complain(f"the master has sent what cannot be read ({error})")
                return self._drop_link()
            if isinstance(said, Evict):
                self._complain(f"the master has closed the connection: {said.reason}")
                return self._drop_link()
            if isinstance(said, Assign):
                self._received = max(self._received, said.lease.serial)
            self._ledger.hear(said)
        return None

    def _beat(self) -> None:
        now = monotonic()
        self._due[self._beat] = now + self._heartbeat
        self._log.catch_up()
        if self._joined and self._link is not None:
            held = self._ledger.held(results=False)
            self._link.outbox.beat(codec.heartbeat_frame(self._examiner.health(), self._received, held))

    # leaving --------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Go towards the end: give back, finish, hand over, leave."""
        ledger = self._ledger
        if not ledger.draining:
            self._say("draining", f"leaving: {self._draining}")
            self._due[self._end_trials] = monotonic() + self._settings.deadline
            self._send(codec.draining_frame(self._draining))
            ledger.drain()
        if ledger.empty:
            self._leave()

    def _end_trials(self) -> None:
        """The deadline has come: whatever still runs ends now, and will go on elsewhere from its checkpoint."""
        if not self._ledger.resting:
            self._say("deadline", f"its trials have not ended within {self._settings.deadline:g} s: they end now")
        self._close_runner(_LAST_STEP)
        self._leave()

    def _leave(self) -> None:
        if self._joined and self._link is not None:
            self._send(codec.goodbye_frame(self._draining))
            self._link.outbox.finish()
            self._link.join(_GOODBYE)
        self._say("left", "left")
        self._code = self._code_when_done

    def _close_runner(self, grace: float) -> None:
        runner, self._ledger.runner = self._ledger.runner, None
        if runner is not None:
            runner.close(grace)

    def _close(self) -> None:
        self._close_runner(0.0)
        if self._link is not None:
            self._link.close()
            self._link.join(_GOODBYE)
        self._waker.close()
        self._private.close()

    # signals --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT: the first drains, the second ends at once."""
        try:
            former = {number: signal.signal(number, self._signalled) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not in the main thread: `stop` is the way
            yield
            return
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        if len(self._signals) > 2:
            os._exit(128 + number)
        if len(self._signals) > 1:
            raise _AtOnce
        self.stop(f"it was told to by {signal.Signals(number).name}")


def described(capacity: Capacity) -> str:
    """A capacity in words: "4 cpus, 8.0 GiB, 2 gpus"."""
    gpus, labels = len(capacity.gpus), sorted(capacity.labels)
    parts = [f"{capacity.cpus:g} cpu{'' if capacity.cpus == 1 else 's'}", f"{capacity.memory / 2**30:.1f} GiB"]
    parts += [f"{gpus} gpu{'' if gpus == 1 else 's'}"] if gpus else []
    return ", ".join([*parts, *labels])


def _distributions() -> dict[str, str]:
    """The installed distributions that register components, with their versions."""
    return {entry.distribution: entry.version for entry in Catalogue.installed().entries}
