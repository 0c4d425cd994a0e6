"""What each kind of component must do: the one file that a plugin author reads.

A component is registered under the entry-point group `morphml.<kind>` as a value made by the helper of that
kind in `morphml_core.plugins.component`.  `morphml_core.testing` has a conformance suite for each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import attrs

from morphml_core.problem import (
    Budget,
    Candidate,
    Metrics,
    Outcome,
    Proposal,
    Report,
    Resources,
    Task,
    Trial,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from morphml_core.experiment.events import Event
    from morphml_core.graph.ir import Graph
    from morphml_core.graph.operations import OperationSet, Signature
    from morphml_core.space.decisions import DecisionSpace, Genotype


# space ------------------------------------------------------------------------------------------------


class Space(Protocol):
    """Kind `space`: decisions, and how a genotype becomes a candidate.  `create(config) -> Space`."""

    @property
    def decisions(self) -> DecisionSpace:
        """The decisions, in order."""

    @property
    def operations(self) -> OperationSet | None:
        """The operations that its graphs are made of; None where it has hyperparameters only."""

    def express(self, genotype: Genotype) -> Candidate:
        """The candidate of a genotype.  A pure function.  Raises `GraphError` where there is no network."""


@runtime_checkable
class Sketched(Protocol):
    """What a space may also do: draw the part of a network that the decisions decide, for models that learn from structure."""

    def sketch(self, genotype: Genotype) -> Graph | None:
        """A small graph that tells networks apart as the whole graph does: each searched part once, however often it is repeated.

        None where the space has no graphs.  Raises `GraphError` where there is no network.
        """


# dataset ----------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Split:
    """Samples and their targets, of equal length.

    `inputs`: (n, *shape), uint8 (images, 0 to 255) or float32.  `targets`: (n,) int64 classes, or (n, outputs)
    float32 for regression.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)


@attrs.frozen(eq=False)
class Data:
    """A dataset in memory.  Where `valid` or `test` is None the evaluator holds out a part of `train`.

    `signature`: the shape of one sample, and the number of classes (or of regression targets).
    """

    train: Split
    valid: Split | None
    test: Split | None
    signature: Signature
    regression: bool = False
    classes: tuple[str, ...] = ()


class Dataset(Protocol):
    """Kind `dataset`: named data for evaluators.  `create(config) -> Dataset`."""

    def load(self) -> Data:
        """The data.  Called once a process.  Raises `EvaluationError` or `OSError` with a sentence that tells where to get it."""


@runtime_checkable
class Signed(Protocol):
    """What a dataset may also do: tell its signature without loading the data, so that costs are known at once."""

    @property
    def signature(self) -> Signature:
        """Equal to the signature of the data that `load` returns."""


@runtime_checkable
class Checked(Protocol):
    """What a dataset, or an evaluator, may also do: look, before a search begins, whether its data are there."""

    def check_data(self) -> None:
        """Quick: loads nothing large.  Raises `EvaluationError` with a sentence that tells where to get the data."""


# evaluator --------------------------------------------------------------------------------------------


@attrs.frozen
class Measurement:
    """What a running evaluation yields after a step: `step` counts epochs from 1."""

    step: int
    metrics: Metrics


@attrs.frozen
class Workbench:
    """What an evaluation may use beside its task: the store for checkpoints and models."""

    artifacts: Artifacts


Evaluation: TypeAlias = "Generator[Measurement, None, Metrics]"


class Evaluator(Protocol):
    """Kind `evaluator`: measure one candidate at one budget.  `create(config, space) -> Evaluator`."""

    @property
    def budget(self) -> Budget:
        """What a full evaluation uses: a `Budget` with `epochs` None gets this number."""

    def known(self, candidate: Candidate) -> Metrics:
        """Metrics that need no evaluation (parameters, FLOPs); may be empty.  Raises `ShapeError` where it cannot be built."""

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """A generator: yields a `Measurement` after each step, and returns the final metrics.

        It is closed (`GeneratorExit`) when the trial is stopped or cancelled.  It raises `EvaluationError` for a known cause;
        any other exception is the cause `error`, `MemoryError` is `out_of_memory`, `GraphError` is `invalid`.  Randomness comes from
        `task.seed` only.  Where `task.continues` is set, or `task.attempt` is above 1, it goes on from the checkpoint in the
        artifacts if there is one.
        """


@runtime_checkable
class Exporter(Protocol):
    """What an evaluator may also do: hand back the trained network of a finished trial."""

    def export(self, trial: Trial, candidate: Candidate, workbench: Workbench, folder: Path) -> Mapping[str, Any]:
        """Write the trained network into `folder` and return what was written: {"files": [...], "metrics": {...}, "notes": [...]}."""


@runtime_checkable
class Timed(Protocol):
    """What an evaluator may also do: say how long an evaluation takes, for the executor `simulated`."""

    def duration(self, task: Task) -> float:
        """Seconds that the evaluation of a task takes."""


@runtime_checkable
class Measuring(Protocol):
    """What an evaluator may also do: name all metrics that a result of it can have, known ones too, so that others are refused before the search."""

    @property
    def metrics(self) -> Sequence[str]:
        """The names; more than one result has, where that depends on the data or the candidate."""


# optimizer, stopper, predictor ------------------------------------------------------------------------


class Optimizer(Protocol):
    """Kind `optimizer`: propose candidates, learn from finished trials.  `create(config, problem) -> Optimizer`.

    All state comes from `tell`; what `ask` returns is a function of what was told before, `numbers` and `pending`, with
    randomness from `problem.rng(number)` only.  So a resumed search is a replay, and warm start is telling it the past.
    """

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> Sequence[Proposal]:
        """Proposals for these trial numbers, in their order, while `pending` trials are not over.

        Fewer than asked means: none for now, ask again after a tell.  None at all while nothing is pending means: the
        space is exhausted, or the algorithm has ended.
        """

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from trials that are over: finished, failed (no metrics), stopped.  Also ones that it never asked for."""


@runtime_checkable
class Explained(Protocol):
    """What an optimizer may also do: tell a person how it will search here, and why."""

    def explain(self) -> str:
        """A sentence or two, without a full stop at the end."""


class Stopper(Protocol):
    """Kind `stopper`: look at a running trial's curve, say continue or stop.  `create(config, problem) -> Stopper`."""

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from trials that are over, with their curves."""

    def verdict(self, trial: Trial) -> str | None:
        """Why the running trial should stop now, in words, or None to go on.  Called after each report."""


class Predictor(Protocol):
    """Kind `predictor`: estimate quality, with uncertainty, without training.  `create(config, problem) -> Predictor`."""

    def fit(self, trials: Sequence[Trial]) -> None:
        """Learn from trials that are over.  Called again with all of them as more finish."""

    def predict(self, genotypes: Sequence[Genotype]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each loss: two arrays of shape (genotypes, objectives)."""


# executor, scheduler ----------------------------------------------------------------------------------


class Workload(Protocol):
    """What an executor runs.  Passed to an executor's `create(config, workload)`."""

    @property
    def specification(self) -> Mapping[str, Any] | None:
        """JSON from which another process rebuilds the workload (`assembly.workload_from`); None when it holds live objects."""

    def run(self, task: Task) -> Generator[Report, None, Outcome]:
        """Evaluate one task: yields its reports, returns its outcome.  Never raises `Exception`: failures are outcomes with a cause."""

    def duration(self, task: Task) -> float | None:
        """Seconds that the task takes by what the evaluator says (`Timed`); None where it says nothing."""

    def epochs(self, task: Task) -> int | None:
        """The epochs of a full evaluation; None where the evaluator knows no epochs."""


class Executor(Protocol):
    """Kind `executor`: where evaluations run.  `create(config, workload) -> Executor`.

    Every submitted task yields exactly one `Outcome`, also when it raises, hangs, dies or is cancelled.
    """

    @property
    def slots(self) -> int:
        """How many tasks may be in flight now."""

    def submit(self, task: Task) -> None:
        """Start, or queue, one task.  Does not block."""

    def poll(self, timeout: float) -> Sequence[Report | Outcome]:
        """What has happened since the last call, in order; waits at most `timeout` seconds for the first of it."""

    def cancel(self, number: int) -> None:
        """End the task of that trial soon; its outcome still comes.  Unknown numbers are ignored."""

    def close(self) -> None:
        """End everything and wait for it.  May be called twice."""


@runtime_checkable
class Clocked(Protocol):
    """What an executor may also have: a clock of its own, by which the experiment then goes."""

    @property
    def clock(self) -> Callable[[], float]:
        """Gives seconds; never goes back."""


@runtime_checkable
class Simulated(Clocked, Protocol):
    """What an executor with simulated workers has: how many there are, and how busy they were.  `morphml run` says it at the end."""

    @property
    def workers(self) -> int:
        """How many workers it simulates."""

    @property
    def utilization(self) -> float:
        """The share of their time that went into evaluations, from 0 to 1."""


@attrs.frozen
class QueuedTask:
    """A task that waits in a master's queue.

    `since` is when it was queued, in seconds.  `features` describe the task for schedulers that learn, the same number of them for each
    task of an experiment: its epochs and its share of the data, then the genotype's encoding.
    """

    task: Task
    since: float
    features: tuple[float, ...] = ()


@attrs.frozen
class WorkerView:
    """What a scheduler sees of one worker.

    `capacity` is what it has, `free` what its running tasks leave of it; `running` and `prefetched` are the numbers of the tasks that it
    runs, and that it holds and has not begun.  `assigned` counts the tasks that it was ever given, over all workers: the last assignment has
    the highest number (0: it had none yet).
    """

    name: str
    capacity: Resources
    free: Resources
    running: tuple[int, ...] = ()
    prefetched: tuple[int, ...] = ()
    assigned: int = 0


Rank: TypeAlias = tuple[float, ...]


class Scheduler(Protocol):
    """Kind `scheduler`: which waiting task goes to which worker.  `create(config) -> Scheduler`.

    A scheduler only ranks.  The master keeps the queue and the workers sorted by these ranks, and gives the first task that fits
    somewhere to the first worker that it fits; so no scheduler can give a worker more than it has, and a decision takes the same time
    before a hundred thousand tasks and a thousand workers as before ten.  Ranks are tuples of numbers (no NaN), all of one length; the
    smaller goes first, and equal ones go in the order in which they came.
    """

    def task_rank(self, queued: QueuedTask) -> Rank:
        """The place of a task in the queue.  Asked once, when it is queued, and again when `observe` says so."""

    def worker_rank(self, worker: WorkerView) -> Rank:
        """The place of a worker among those that can take a task.  Asked whenever the worker has changed, and when `observe` says so."""

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """A task took `duration` seconds on a worker.  True: the ranks are others now, and everything is to be ranked again."""


@runtime_checkable
class Vectorized(Protocol):
    """What a scheduler may also do: rank many tasks at once, in less time than one by one."""

    def task_ranks(self, queue: Sequence[QueuedTask]) -> Iterable[Rank]:
        """What `task_rank` gives for each, up to rounding.  Asked when `observe` says that everything is to be ranked again."""


@runtime_checkable
class Stealing(Protocol):
    """What a scheduler may also do: let an idle worker take over what another has prefetched and not begun."""

    def steals(self, thief: WorkerView, victim: WorkerView) -> bool:
        """Whether the idle `thief` takes the last task that `victim` has prefetched.  Asked for the victim with the most of them."""


@runtime_checkable
class Patient(Protocol):
    """What a scheduler may also do: let a task wait for a busy worker although another has room for it now."""

    def waits(self, queued: QueuedTask, free: WorkerView, busy: WorkerView) -> bool:
        """Whether `busy`, the first of those that can prefetch it, gets the task, and not `free`, the first that can run it now."""


@runtime_checkable
class Remembering(Protocol):
    """What a scheduler that remembers single tasks must also do: forget them, or its memory grows with the search."""

    def forget(self, number: int) -> None:
        """The task of that trial is over, whether or not it was or will be observed."""


# storage, artifacts, cache ----------------------------------------------------------------------------


class Storage(Protocol):
    """Kind `storage`: the append-only record of one experiment.  `create(config, experiment name) -> Storage`.

    A URL in the configuration names the storage by its scheme: `sqlite:///x.db` is {name: sqlite, url: sqlite:///x.db}.
    """

    def read(self, after: int = 0) -> Sequence[Event]:
        """The events from index `after` on; the first event has index 0."""

    def append(self, events: Sequence[Event], expected: int) -> None:
        """Store all of the events, the first at index `expected`, or none of them.

        Raises `ConflictError` when the log does not end there.  Durable when it returns, as far as the storage's
        documentation promises.
        """

    def close(self) -> None:
        """Release what is held.  May be called twice."""


class Artifacts(Protocol):
    """Kind `artifacts`: models and checkpoints by name (`17/checkpoint`).  `create(config, experiment name) -> Artifacts`."""

    def put(self, name: str, source: Path) -> None:
        """Store a copy of the file; atomic: a reader sees the old content or the new."""

    def get(self, name: str, target: Path) -> bool:
        """Copy the artifact to `target`; False where there is none of that name."""

    def names(self, prefix: str = "") -> Sequence[str]:
        """The names that begin with `prefix`, sorted."""

    def delete(self, name: str) -> None:
        """Forget the artifact; nothing happens where there is none."""


@runtime_checkable
class Shared(Protocol):
    """What a store of artifacts may also be: the same one from every machine, as one in the network is, and one in a local folder is not."""

    @property
    def shared(self) -> bool:
        """Whether a worker on another machine that builds it from the same options reaches the same artifacts."""


class Cache(Protocol):
    """Kind `cache`: results shared between experiments.  `create(config) -> Cache`."""

    def get(self, key: str) -> Metrics | None:
        """The metrics stored under the key, or None."""

    def put(self, key: str, metrics: Metrics) -> None:
        """Store metrics under a key; a later `put` of the same key replaces them."""
