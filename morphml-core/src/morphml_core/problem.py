"""The values that a search is made of: objectives, constraints, candidates, proposals, trials, tasks, outcomes.

`Problem` joins a space with what is wanted of it, and is all that an optimizer gets to know.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
import numpy as np
from numpy.random.bit_generator import ISeedSequence

from morphml_core.errors import GraphError, SpaceError
from morphml_core.graph.ir import Graph
from morphml_core.space.decisions import DecisionSpace, Genotype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from morphml_core.graph.effective import EffectiveView
    from morphml_core.protocols import Space

Metrics: TypeAlias = Mapping[str, float]
"""Measured values by name."""


class Cause(StrEnum):
    """Why an evaluation failed."""

    ERROR = "error"
    """The evaluation raised, or returned something that is no measurement."""
    TIMEOUT = "timeout"
    """It took longer than it may."""
    OUT_OF_MEMORY = "out_of_memory"
    """It needed more memory (of the host or the device) than it may have."""
    INVALID = "invalid"
    """The network cannot be built, or breaks a constraint that is known before evaluation."""
    LOST = "lost"
    """The process or machine that evaluated it died; no verdict on the architecture."""


class TrialState(StrEnum):
    """Where a trial stands."""

    PENDING = "pending"
    """Proposed, and not running: waiting for a place, or for the equal network that is being evaluated."""
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    """Stopped early by a stopper; its metrics are those of its last report."""

    @property
    def over(self) -> bool:
        """Whether the trial has its result: finished, failed or stopped."""
        return self in (TrialState.FINISHED, TrialState.FAILED, TrialState.STOPPED)


@attrs.frozen
class Objective:
    """A metric to maximize or minimize."""

    name: str
    goal: Literal["maximize", "minimize"] = attrs.field(
        default="maximize", validator=attrs.validators.in_(("maximize", "minimize"))
    )

    def loss(self, value: float) -> float:
        """The value with its sign turned so that smaller is better."""
        return value if self.goal == "minimize" else -value


_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@attrs.frozen
class Constraint:
    """A bound on a metric: `parameters <= 1e6`.  Written and stored as that text."""

    metric: str
    comparison: Literal["<=", ">=", "<", ">"]
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read `METRIC <= NUMBER` (or >=, <, >).  Raises `ValueError` with a sentence."""
        found = re.fullmatch(r"\s*([\w.]+)\s*(<=|>=|<|>)\s*([-+\w.]+)\s*", text)
        try:
            if found is None:
                raise ValueError
            return cls(found[1], found[2], float(found[3]))  # type: ignore[arg-type]
        except ValueError:
            raise ValueError(f"'{text}' is not a constraint; write METRIC <= NUMBER (or >=, <, >)") from None

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:g}"

    def violation(self, metrics: Metrics) -> float | None:
        """How far the metric is on the wrong side (0.0 where it holds), or None where the metric is not known."""
        value = metrics.get(self.metric)
        if value is None:
            return None
        if _COMPARE[self.comparison](value, self.bound):
            return 0.0
        return max(abs(value - self.bound), math.ulp(self.bound))


@attrs.frozen
class Budget:
    """How much an evaluation may use: epochs (None: the evaluator's own number) and a fraction of the training data."""

    epochs: int | None = None
    fraction: float = 1.0


@attrs.frozen
class Candidate:
    """What a genotype expresses: a network (None where the space has hyperparameters only) and hyperparameters.

    `fingerprint` identifies the architecture and the hyperparameters together: equal fingerprints, equal candidates.
    `graph` is the effective graph (dead parts cut, identities contracted): it is what is costed, built and trained.
    `values` are the active decisions by path.
    """

    graph: Graph | None
    hyperparameters: Mapping[str, Any]
    fingerprint: str
    values: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Predicate:
    """A constraint written in Python: a function of a candidate that says whether it may be evaluated.

    `function(candidate)` returns True or False, or a sentence that says why not.  `name` is how the configuration names it.
    """

    name: str
    function: Callable[[Candidate], bool | str] = attrs.field(eq=False)

    def __str__(self) -> str:
        return self.name

    def refusal(self, candidate: Candidate) -> str | None:
        """Why the candidate may not be evaluated, or None.  Raises `SpaceError` where the function fails or answers nothing."""
        try:
            answer = self.function(candidate)
        except Exception as error:
            raise SpaceError(f"the constraint {self.name} failed: {type(error).__name__}: {error}") from error
        if isinstance(answer, str):
            return f"breaks the constraint {self.name}: {answer}"
        if not isinstance(answer, bool | np.bool_):
            raise SpaceError(
                f"the constraint {self.name} returned {answer!r}; it must return True, False, or a sentence that says why not"
            )
        return None if answer else f"breaks the constraint {self.name}"


@attrs.frozen
class Proposal:
    """What an optimizer asks to have evaluated.

    `continues` is the trial whose checkpoint it goes on from; `origin` a short note of where it came from, kept
    with the trial, for people and for the optimizer itself when it is told the trial.
    """

    genotype: Genotype
    budget: Budget = Budget()
    continues: int | None = None
    priority: float = 0.0
    origin: str = ""


@attrs.frozen
class Trial:
    """One trial of an experiment, as optimizers, stoppers, hooks and people see it.

    `curve` holds (step, metrics) of each report.  `duplicate_of` is the trial whose result was reused;
    `repeat_of` the trial that a finalist's repeat evaluates again.  `duration` is in seconds.
    """

    number: int
    genotype: Genotype
    state: TrialState = TrialState.PENDING
    fingerprint: str = ""
    budget: Budget = Budget()
    metrics: Metrics = attrs.field(factory=dict)
    curve: tuple[tuple[int, Metrics], ...] = ()
    cause: Cause | None = None
    message: str = ""
    duration: float = 0.0
    attempt: int = 1
    continues: int | None = None
    duplicate_of: int | None = None
    repeat_of: int | None = None
    priority: float = 0.0
    origin: str = ""


@attrs.frozen
class Resources:
    """What one task needs, or what a machine has.

    CPU cores, memory in bytes (None: no limit), GPUs (a task with a fraction shares one), bytes of memory on each of these GPUs
    (None: no limit), and labels: a task runs only where the machine has all of its labels.
    """

    cpus: float = 1.0
    memory: int | None = None
    gpus: float = 0.0
    gpu_memory: int | None = None
    labels: frozenset[str] = frozenset()


@attrs.frozen
class Task:
    """One attempt at one trial, handed to an executor.

    `seed` depends on the experiment's seed and the trial only.  `timeout` is in seconds (None: no limit).
    """

    number: int
    genotype: Genotype
    seed: int
    attempt: int = 1
    budget: Budget = Budget()
    continues: int | None = None
    priority: float = 0.0
    resources: Resources = Resources()
    timeout: float | None = None


@attrs.frozen
class Report:
    """An intermediate measurement of a running task: `step` counts epochs from 1."""

    number: int
    attempt: int
    step: int
    metrics: Metrics


@attrs.frozen
class Outcome:
    """The end of one task.

    Exactly one of three: it has `metrics` (finished), a `cause` (failed), or neither (it was cancelled).  `final`: the trial is not to be
    tried again, whatever retries it has left.
    """

    number: int
    attempt: int
    metrics: Metrics | None = None
    cause: Cause | None = None
    message: str = ""
    duration: float = 0.0
    worker: str = ""
    final: bool = False


class _Key(ISeedSequence):
    """Gives Philox its key as it is.  `Philox(key=...)` would first draw entropy from the system, which takes longer than all the rest."""

    def __init__(self, key: NDArray[np.uint64]) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[np.uint64]:
        return self._key


class _Lent:
    """One generator that is set to the start of a trial's numbers again and again."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._bits: Any = rng.bit_generator
        self._fresh: Any = self._bits.state
        self._key: NDArray[np.uint64] = self._fresh["state"]["key"]

    def start(self, number: int) -> np.random.Generator:
        self._key[1] = number
        self._bits.state = self._fresh
        return self._rng


class Problem:
    """A space, what is wanted of it, and the experiment's seed.

    `parallelism` is how many evaluations run at once, `trials` how many there will be (None: not known), `budget` what
    a full evaluation uses.  `known(candidate)` gives the metrics that need no evaluation (parameters, FLOPs).
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint | Predicate] = (),
        seed: int = 0,
        *,
        parallelism: int = 1,
        trials: int | None = None,
        budget: Budget = Budget(),
        known: Callable[[Candidate], Metrics] | None = None,
    ) -> None:
        self.space = space
        self.decisions: DecisionSpace = space.decisions
        self.objectives = tuple(objectives)
        self.constraints = tuple(found for found in constraints if isinstance(found, Constraint))
        self.predicates = tuple(found for found in constraints if isinstance(found, Predicate))
        self.seed = seed
        self.parallelism = parallelism
        self.trials = trials
        self.budget = budget
        self._known = known
        self.selective = known is not None or bool(self.predicates)
        """Whether a genotype can be refused at all."""
        # An optimizer looks at a genotype before it proposes it, the loop before it submits it, and a search at its neighbours.
        self.candidate = lru_cache(maxsize=256)(space.express)
        # A model looks at many genotypes, and at most of them again and again.
        self.view = lru_cache(maxsize=8192)(self._view)
        self._judged = lru_cache(maxsize=4096)(self._judge)
        self._lent: _Lent | None = None

    def rng(self, number: int, stream: int = 0) -> np.random.Generator:
        """A generator of its own for a trial number (and a stream, where one trial needs several)."""
        key = np.array((self.seed % 2**64, (stream << 48) + number), dtype=np.uint64)
        return np.random.Generator(np.random.Philox(_Key(key)))  # type: ignore[arg-type]  # numpy takes any ISeedSequence

    def lent_rng(self, number: int) -> np.random.Generator:
        """The generator `rng(number)` on loan: the next call of `lent_rng` starts it again, for its own number.

        For a generator that is not kept; it takes a fifth of the time.
        """
        lent = self._lent
        if lent is None:
            lent = self._lent = _Lent(self.rng(0))
        return lent.start(number)

    def seed_of(self, number: int) -> int:
        """The seed of a trial's evaluation, below 2**31."""
        digest = blake2b(f"{self.seed} {number}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") >> 1

    def _view(self, genotype: Genotype) -> EffectiveView | None:
        """Numbers about the structure of a genotype's network, for models; None where there is no network.

        Where the space draws sketches (`protocols.Sketched`), they are looked at in place of the networks.
        """
        # Imported late: who learns from decisions alone needs nothing of it.
        from morphml_core.graph.effective import view

        space = self.space
        if space.operations is None:
            return None
        sketch = getattr(space, "sketch", None)
        try:
            graph = self.candidate(genotype).graph if sketch is None else sketch(genotype)
            return None if graph is None else view(graph, space.operations)
        except (GraphError, SpaceError):
            return None

    def known(self, genotype: Genotype) -> Metrics:
        """The metrics of a genotype that need no evaluation.  Raises `ShapeError` where no network can be built."""
        return self._known(self.candidate(genotype)) if self._known else {}

    def refusal(self, genotype: Genotype) -> str | None:
        """Why a genotype need not be evaluated (it cannot be built, it breaks a constraint), or None."""
        return self._judged(genotype) if self.selective else None

    def _judge(self, genotype: Genotype) -> str | None:
        try:
            metrics = self.known(genotype)
            if not (self.constraints or self.predicates):
                return None
            reasons = (predicate.refusal(self.candidate(genotype)) for predicate in self.predicates)
            reason = next((found for found in reasons if found), None)
        except (GraphError, SpaceError) as error:
            return str(error)
        for constraint in self.constraints:
            if constraint.violation(metrics):
                return f"breaks the constraint {constraint}: {constraint.metric} is {metrics[constraint.metric]:.10g}"
        return reason

    def sample(self, rng: np.random.Generator, tries: int = 100) -> Genotype:
        """A random genotype; one that is not refused, where `tries` draws find one."""
        genotype = self.decisions.sample(rng)
        for _ in range(tries if self.selective else 0):
            if self.refusal(genotype) is None:
                break
            genotype = self.decisions.sample(rng)
        return genotype

    def losses(self, trial: Trial) -> tuple[float, ...]:
        """The objectives of a trial as losses (smaller is better); infinite where it has none."""
        if trial.state not in (TrialState.FINISHED, TrialState.STOPPED):
            return (math.inf,) * len(self.objectives)
        metrics = trial.metrics
        return tuple(
            [
                objective.loss(metrics[objective.name]) if objective.name in metrics else math.inf
                for objective in self.objectives
            ]
        )

    def violation(self, trial: Trial) -> float:
        """The sum of the constraint violations, each relative to its bound; 0.0 where all hold or are unknown."""
        return sum(
            (constraint.violation(trial.metrics) or 0.0) / max(abs(constraint.bound), 1e-12)
            for constraint in self.constraints
        )

    def rank_key(self, trial: Trial) -> tuple[float, ...]:
        """Sorts trials, best first: feasible before infeasible, then by violation, then by the losses in order (Deb, 2000)."""
        return (self.violation(trial), *self.losses(trial))
