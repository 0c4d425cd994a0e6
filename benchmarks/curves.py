"""Recorded learning curves as pools of candidates to search: what each would have reached after so many epochs.

| pool | file below the data folder | candidates | an epoch is | goes on from a checkpoint |
| --- | --- | --- | --- | --- |
| nlp | nas_bench_nlp_wikitext2/curves.json.gz | 341 recurrent cells, trained to the end | an epoch | yes |
| lcdb (one a dataset) | lcdb_curves/accuracy_seed0.csv.gz | up to 20 learners | 16 training samples | no |
| nasbench201 | nasbench201/cifar10.csv.gz | 15,625 cells | an epoch: after 12 and 200 | no |
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

import tables
from morphml_core.errors import EvaluationError, MorphMLError
from morphml_core.evaluator.table import File
from morphml_core.problem import Budget, Candidate, Cause, Metrics, Objective, Task
from morphml_core.protocols import Evaluation, Workbench
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice
from morphml_core.space.space import SearchSpace

LOSS, COST = "loss", "cost"
_LEAST = 9  # epochs of LCDB: a dataset with fewer than 144 samples has no room for three budgets


@attrs.frozen
class Curve:
    """The epochs at which a candidate was measured, growing, and its losses there (one or several repeats); after the last it failed."""

    epochs: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]

    def after(self, epochs: int, seed: int = 0) -> float | None:
        """The last loss measured up to so many epochs; None where training never got there."""
        place = bisect_right(self.epochs, epochs)
        if not place or epochs > self.epochs[-1]:
            return None
        return self.losses[place - 1][seed % len(self.losses[place - 1])]


@attrs.frozen(eq=False)
class Pool:
    """Candidates with their curves.  `full` is how many epochs a full training has, `resumes` whether a trial can go on from another.

    `costs` is what else is minimized (parameters), `seconds` the time of a full training, `index` finds a genotype's candidate.
    """

    space: SearchSpace
    index: Callable[[Genotype], int]
    curves: Sequence[Curve]
    full: int
    resumes: bool
    costs: Sequence[float]
    seconds: Sequence[float]
    budgets: tuple[int, ...] = ()

    def objectives(self, several: bool) -> list[Objective]:
        """The loss, or the loss and the cost."""
        return [Objective(name, "minimize") for name in ((LOSS, COST) if several else (LOSS,))]

    @property
    def final(self) -> NDArray[np.float64]:
        """The loss of each candidate after a full training, the mean over its repeats; infinite where it failed."""
        found = [
            np.mean(curve.losses[-1]) if curve.losses and curve.epochs[-1] == self.full else np.inf
            for curve in self.curves
        ]
        return np.array(found, dtype=float)


@attrs.define
class CurveEvaluator:
    """An evaluator that looks up what was recorded.  A trial that goes on takes only the epochs that are new, where the pool can resume."""

    pool: Pool
    started: dict[int, int] = attrs.field(factory=dict)

    @property
    def budget(self) -> Budget:
        """All epochs that were recorded."""
        return Budget(self.pool.full)

    def known(self, candidate: Candidate) -> Metrics:
        """Nothing."""
        return {}

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """The loss after the task's epochs."""
        place, epochs = self.pool.index(task.genotype), task.budget.epochs or self.pool.full
        self.started[task.number] = epochs
        loss = self.pool.curves[place].after(epochs, task.seed)
        if loss is None:
            raise EvaluationError(Cause.TIMEOUT, f"nothing was recorded after {epochs} epochs")
        yield from ()
        return {LOSS: loss, COST: self.pool.costs[place]}

    def epochs_of(self, task: Task) -> int:
        """How many epochs are trained for a task."""
        before = self.started.get(task.continues, 0) if self.pool.resumes and task.continues is not None else 0
        return (task.budget.epochs or self.pool.full) - before

    def duration(self, task: Task) -> float:
        """The time of a full training, in proportion to the epochs."""
        return self.pool.seconds[self.pool.index(task.genotype)] * self.epochs_of(task) / self.pool.full


def _numbered(count: int) -> tuple[SearchSpace, Callable[[Genotype], int]]:
    """A space of one choice among so many."""
    space = SearchSpace(DecisionSpace([Decision("candidate", Choice(tuple(range(count))))]))
    return space, lambda genotype: int(genotype.slots[0])


@lru_cache(maxsize=1)
def nlp(data: Path) -> Pool:
    """The cells of NAS-Bench-NLP that were trained to the end on WikiText-2: validation loss and parameters."""
    path = data / "nas_bench_nlp_wikitext2" / "curves.json.gz"
    records = [found for found in json.loads(gzip.decompress(_bytes(path))) if found["status"] == "OK"]
    curves = [Curve(tuple(range(1, 51)), tuple((loss,) for loss in found["val_losses"])) for found in records]
    seconds = [float(sum(found["wall_times"])) for found in records]
    return Pool(*_numbered(len(records)), curves, 50, True, [float(found["num_params"]) for found in records], seconds)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MorphMLError(f"there is no file {path}; name the folder of the published tables with --data") from None


@lru_cache(maxsize=1)
def lcdb(data: Path) -> Sequence[Pool]:
    """The learners of LCDB, a pool a dataset: validation error and training time, by the number of training samples; 144 or more."""
    file = File.read(data / "lcdb_curves" / "accuracy_seed0.csv.gz")
    names = [row[file.index("openmlid")] for row in file.rows]
    learners = [row[file.index("learner")] for row in file.rows]
    columns = [file.numbers(column) for column in ("size_train", "score_valid", "traintime_s")]
    found: dict[str, dict[str, dict[int, tuple[float, float]]]] = {}
    for name, learner, size, score, time in zip(names, learners, *columns, strict=True):
        if size and score and time:
            epoch = max(1, round(size[0] / 16))
            found.setdefault(name, {}).setdefault(learner, {})[epoch] = 1.0 - score[0], time[0]
    pools = [_learners(curves) for curves in found.values()]
    return [pool for pool in pools if pool.full >= _LEAST]


def _learners(curves: Mapping[str, Mapping[int, tuple[float, float]]]) -> Pool:
    full = max(max(curve) for curve in curves.values())
    made = [
        Curve(tuple(sorted(curve)), tuple((curve[epoch][0],) for epoch in sorted(curve))) for curve in curves.values()
    ]
    times = [curve[max(curve)][1] for curve in curves.values()]
    return Pool(*_numbered(len(made)), made, full, False, times, times)


@lru_cache(maxsize=1)
def nasbench201(data: Path) -> Pool:
    """NAS-Bench-201 on CIFAR-10: validation error after 12 epochs of a short schedule, and after 200 (a repeat by the seed), and latency."""
    bench = tables.table("nasbench201/cifar10", data)
    short = [(value,) for value in bench.metrics["val_acc_12ep"].tolist()]
    curves = [
        Curve((12, 200), tuple(tuple(100.0 - value for value in repeats) for repeats in pair))
        for pair in zip(short, bench.repeats, strict=True)
    ]
    assert bench.durations is not None
    latency = bench.metrics["latency_s"].tolist()

    def index(genotype: Genotype) -> int:
        row = bench.row(genotype)
        assert row is not None
        return row

    return Pool(bench.flat.space, index, curves, 200, False, latency, bench.durations, (12, 200))
