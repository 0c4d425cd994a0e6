"""Drives the chaos: starts everything, does what the plan says, waits for the end, and judges the record."""

from __future__ import annotations

import heapq
import itertools
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from morphml_distributed.chaos import network, verdict
from morphml_distributed.chaos.evaluation import PAUSE, STEPS
from morphml_distributed.chaos.lab import Lab, Setup
from morphml_distributed.chaos.plan import KINDS, Fault, plan

_TURN = 0.02
_PATIENCE = 180.0

Say = Callable[[str], None]


@attrs.frozen
class Wanted:
    """What a person asked for: the seed of the plan and of the search, seconds, workers, kinds of faults, a folder."""

    seed: int
    length: float
    workers: int
    kinds: Sequence[str]
    folder: Path

    @property
    def trials(self) -> int:
        """So many trials that they last about as long as the faults."""
        return max(30, int(0.5 * self.length * self.workers / (PAUSE * STEPS + 0.05)))


class Chaos:
    """One run.  `run` returns what happened, as JSON: `broken` has a sentence for each promise that was not kept."""

    def __init__(self, wanted: Wanted, say: Say) -> None:
        self._wanted, self._say = wanted, say
        self._database = wanted.folder / "chaos.db"
        self._setup = Setup(wanted.folder, wanted.workers, wanted.trials, wanted.seed, f"sqlite:///{self._database}")
        self._heals: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._done: Counter[str] = Counter()
        self._recoveries: list[float] = []
        self._waiting: tuple[float, int] | None = None

    def run(self) -> dict[str, Any]:
        """Start, disturb, wait, judge."""
        kinds = [kind for kind in self._wanted.kinds if kind != "cut_network"]
        reason = network.why_not() if "cut_network" in self._wanted.kinds else "not asked for"
        hosts = None
        if reason is None:
            kinds, hosts = list(self._wanted.kinds), network.Network(self._wanted.workers)
        elif "cut_network" in self._wanted.kinds:
            self._say(f"no network is cut: {reason}")
        lab = Lab(self._setup, hosts)
        try:
            started = time.monotonic()
            self._drive(lab, plan(self._wanted.seed, self._wanted.length, kinds))
            took = time.monotonic() - started
        finally:
            lab.close()
        return self._result(lab, took)

    # the course ----------------------------------------------------------------------------------------

    def _drive(self, lab: Lab, faults: Sequence[Fault]) -> None:
        started, waiting = time.monotonic(), list(faults)
        limit = started + self._wanted.length + _PATIENCE
        while not lab.over and time.monotonic() < limit:
            now = time.monotonic()
            self._tend(lab)
            while self._heals and self._heals[0][0] <= now:
                heapq.heappop(self._heals)[2]()
            while waiting and waiting[0].at <= now - started:
                self._inject(lab, waiting.pop(0))
            time.sleep(_TURN)
        while self._heals:
            heapq.heappop(self._heals)[2]()

    def _tend(self, lab: Lab) -> None:
        """Start what died, and see how soon a master that was started again records a result."""
        if "master" in lab.tend() and lab.master.starts > 1:
            self._waiting = time.monotonic(), self._results()
        if self._waiting is not None and self._results() > self._waiting[1]:
            self._recoveries.append(time.monotonic() - self._waiting[0])
            self._waiting = None

    def _results(self) -> int:
        """How many trials have a result; -1 where the database cannot be read now."""
        question = "SELECT count(*) FROM trials WHERE state IN ('finished', 'failed')"
        try:
            with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=0.0)) as connection:
                return int(connection.execute(question).fetchone()[0])
        except sqlite3.Error:
            return -1

    def _inject(self, lab: Lab, fault: Fault) -> None:
        worker = fault.target(len(lab.workers))
        if not self._act(lab, fault, worker):
            return  # whom it should hit is dead already
        self._done[fault.kind] += 1
        self._tell(fault, lab.workers[worker].name)

    def _act(self, lab: Lab, fault: Fault, worker: int) -> bool:
        """Do it, and see to its end; returns whether there was anything to do it to."""
        kind, length = fault.kind, fault.length
        program = lab.master if kind.endswith("master") else lab.workers[worker]
        if kind.startswith("kill"):
            return program.signal(signal.SIGKILL, length)
        if kind.startswith("stop"):
            self._later(length, lambda: program.signal(signal.SIGCONT))
            return program.signal(signal.SIGSTOP)
        if kind == "cut_network":
            hosts = lab.network
            assert hosts is not None
            self._later(length, lambda: hosts.heal(worker))
            hosts.cut(worker)
        elif kind == "step_clock":
            lab.clock.write_text(str(fault.offset))
        else:
            return self._lock(length)
        return True

    def _later(self, seconds: float, heal: Callable[[], object]) -> None:
        heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._order), heal))

    def _lock(self, seconds: float) -> bool:
        """Hold the database, as another program may."""
        try:
            connection = sqlite3.connect(self._database, timeout=1.0, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error:
            return False
        self._later(seconds, connection.close)
        return True

    def _tell(self, fault: Fault, worker: str) -> None:
        whom = f" {worker}" if fault.kind in ("kill_worker", "stop_worker", "cut_network") else ""
        how = f"by {fault.offset:+.0f} s" if fault.kind == "step_clock" else f"for {fault.length:.1f} s"
        self._say(f"{fault.at:7.1f} s  {fault.kind.replace('_', ' ')}{whom} {how}")

    # the end -------------------------------------------------------------------------------------------

    def _result(self, lab: Lab, took: float) -> dict[str, Any]:
        from morphml_core.session import open_experiment

        broken = [] if lab.over else [f"the search did not end within {took:.0f} s"]
        experiment = open_experiment(lab.config, read_only=True)
        try:
            log = experiment.storage.read()
        finally:
            experiment.close()
        quiet = verdict.undisturbed(self._setup.configuration(lab.address))
        return {
            "seed": self._wanted.seed,
            "seconds": round(took, 1),
            "trials": self._wanted.trials,
            "faults": {kind: self._done[kind] for kind in KINDS if self._done[kind]},
            "lost_attempts": verdict.losses(log),
            "master_recovery_seconds": [round(each, 2) for each in sorted(self._recoveries)],
            "broken": broken + verdict.judge(log, quiet, self._wanted.trials),
        }
