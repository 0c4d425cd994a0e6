"""Opens an experiment from a configuration: every component built and joined.

The command line and the Python face stand on the same three functions: `open_experiment`, `search` and `check`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from morphml_core.assembly import (
    artifacts_of,
    check,
    check_ready,
    digest,
    problem_of,
    specification_of,
    versions,
)
from morphml_core.config import (
    Configuration,
    Resolved,
    difference,
    resolve,
    resolve_file,
    resolve_mapping,
)
from morphml_core.errors import (
    Complaint,
    ConfigurationError,
    MorphMLError,
    StorageError,
)
from morphml_core.experiment.codec import no_collection
from morphml_core.experiment.journal import Listener, retry, status
from morphml_core.experiment.loop import INTERRUPTED, Loop
from morphml_core.experiment.settings import Settings, retries_of
from morphml_core.experiment.state import State
from morphml_core.plugins.building import built
from morphml_core.plugins.component import DEFAULT
from morphml_core.plugins.hooks import Hooks
from morphml_core.plugins.refs import PYTHON
from morphml_core.problem import Problem, Resources, Trial
from morphml_core.protocols import (
    Artifacts,
    Clocked,
    Evaluator,
    Executor,
    Explained,
    Exporter,
    Signed,
    Space,
    Storage,
    Workbench,
)  # fmt: skip
from morphml_core.work import Work

__all__ = ["Experiment", "check", "open_experiment", "search"]


class Experiment:
    """One experiment, opened.  Components are built when they are first needed.

    Attributes: `name`, `configuration`, `resolved`, `output` (the folder of reports and exports), `state`, and `executor` (of the last
    run; None before).
    Closes its storage at the end of a `with` block, or by `close`.
    """

    def __init__(self, resolved: Resolved, *, read_only: bool = False, take_over: bool = False) -> None:
        self.resolved = resolved
        self.configuration = resolved.configuration
        self.name = self.configuration.experiment
        self.output = self.configuration.output
        self._read_only = read_only
        self._take_over = take_over
        self.executor: Executor | None = None
        self._loop: Loop | None = None
        self.state = State(self.problem)
        self.refresh()
        self._check_unchanged()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what it is made of --------------------------------------------------------------------------------

    @cached_property
    def space(self) -> Space:
        """The search space."""
        made: Space = self.resolved.space.create()
        return made

    @cached_property
    def evaluator(self) -> Evaluator:
        """The evaluator, in this process."""
        made: Evaluator = built(self.resolved.evaluator, self.space)
        return made

    @cached_property
    def artifacts(self) -> Artifacts:
        """Where models and checkpoints are kept."""
        return artifacts_of(self.resolved)

    @cached_property
    def storage(self) -> Storage:
        """The record."""
        made: Storage = self.resolved.storage.create(self.name)
        return made

    @cached_property
    def problem(self) -> Problem:
        """The space and what is wanted of it."""
        return problem_of(self.configuration, self.space, self.evaluator)

    @property
    def workload(self) -> Work:
        """What an executor runs."""
        return Work(self.space, self.evaluator, self.artifacts, specification_of(self.resolved))

    @property
    def settings(self) -> Settings:
        """What the loop is told beside the problem."""
        held, limits = self.configuration, self.configuration.trial
        return Settings(
            name=self.name,
            configuration=held.trajectory(),
            versions=versions(self.resolved),
            stop=held.stop,
            window=held.reproducible.window if held.reproducible else None,
            finalists=held.finalists,
            deduplicate=held.deduplicate,
            retries=retries_of(limits.retries),
            timeout=limits.timeout,
            resources=Resources(limits.cpus, limits.memory, limits.gpus, limits.gpu_memory, frozenset(limits.labels)),
            digest=digest(held),
            take_over=self._take_over,
        )

    # what it does --------------------------------------------------------------------------------------

    def run(self, listeners: Sequence[Listener] = ()) -> str:
        """Search, or go on with a search, until a stop condition is met; returns why it ended, in words.

        `listeners` hear of every event beside the hooks of the configuration.  Raises `KeyboardInterrupt` (with the signal) after a clean
        stop by Ctrl-C, SIGTERM, SIGHUP or `stop`, `ConfigurationError` for a space that is impossible, `HeldError` where another process holds the experiment,
        and `StorageError`.
        """
        check_ready(self.resolved, self.problem, self.evaluator)
        hooks = Hooks.create(self.resolved.hooks, self.configuration.context())
        try:
            self._loop = self._make_loop(_Listeners([hooks, *listeners]))
            reason = self._loop.run()
        finally:
            hooks.close()
            self.refresh()
        if reason == INTERRUPTED:
            by = self._loop.stopped_by
            raise KeyboardInterrupt(*([] if by is None else [by]))
        return reason

    def _make_loop(self, listener: Listener) -> Loop:
        resolved, problem = self.resolved, self.problem
        stopper, cache = resolved.stopper, resolved.cache
        self.executor = executor = built(resolved.executor, self.workload)
        if self.configuration.reproducible is None:
            problem.parallelism = executor.slots
        return Loop(
            problem,
            built(resolved.optimizer, problem),
            executor,
            self.storage,
            self.settings,
            make_stopper=(lambda: built(stopper, problem)) if stopper else None,
            cache=built(cache) if cache else None,
            listener=listener,
            clock=executor.clock if isinstance(executor, Clocked) else time.time,
        )

    def stop(self) -> None:
        """Let a running search end soon; may be called from a listener or another thread."""
        if self._loop is not None:
            self._loop.stop()

    def refresh(self) -> None:
        """Read what has been recorded since the last time."""
        with no_collection():
            for event in self.storage.read(self.state.index):
                self.state.apply(event)

    def retry(self, numbers: Sequence[int] | None = None) -> list[int]:
        """Put failed trials (these, or all) back into the queue; the next `run` evaluates them.  Returns their numbers."""
        found = retry(self.storage, self.settings, numbers)
        self.refresh()
        return list(found)

    def close(self) -> None:
        """Release the storage.  May be called twice."""
        self.storage.close()

    # what it found -------------------------------------------------------------------------------------

    def trials(self) -> list[Trial]:
        """Every trial, in the order of their numbers."""
        return list(self.state.trials.values())

    def best(self) -> Trial | None:
        """The best trial; after finals, the best repeat of the finalist whose repeats have the best mean."""
        return self.state.best

    def front(self) -> list[Trial]:
        """The trials that no other beats in every objective; with one objective the best alone."""
        return list(self.state.front)

    def explanation(self) -> str:
        """The name of the optimizer and, where it says so itself, how it searches here and why."""
        name = self.resolved.optimizer.ref.name
        made = built(self.resolved.optimizer, self.problem)
        return f"{name}: {made.explain()}" if isinstance(made, Explained) else name

    def summary(self) -> dict[str, Any]:
        """Where the experiment stands, as plain JSON."""
        state, best = self.state, self.best()
        return {
            "experiment": self.name,
            "status": status(self.state),
            "reason": state.reason,
            "optimizer": self.explanation(),
            "seconds": round(state.elapsed(), 3),
            "trials": state.counts,
            "best": self._brief(best) if best else None,
            "front": [self._brief(trial) for trial in self.front()],
            "finalists": [
                {
                    "number": f.trial.number,
                    "repeats": list(f.repeats),
                    "mean": dict(f.metrics),
                    "deviation": dict(f.deviations),
                }
                for f in state.finalists
            ],
        }

    def _brief(self, trial: Trial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "metrics": dict(trial.metrics),
            "genotype": self.problem.decisions.values(trial.genotype),
            "fingerprint": trial.fingerprint,
        }

    def export(self, trial: Trial | int | Literal["best"] = "best", folder: str | Path = "export") -> Mapping[str, Any]:
        """Write the trained network of a trial into a folder; returns what was written, and the metrics measured on it.

        A trial that reused another's result hands back that one's network.  Raises `MorphMLError` where the evaluator trains no
        networks, or there is no such trial.
        """
        evaluator = self.evaluator
        if not isinstance(evaluator, Exporter):
            name = self.resolved.evaluator.ref.name
            raise MorphMLError(
                f"there is no network to export: the evaluator '{name}' trains none; use one that does, such as train"
            )
        chosen = self._chosen(trial)
        candidate = self.problem.candidate(chosen.genotype)
        try:
            return evaluator.export(chosen, candidate, Workbench(self.artifacts), Path(folder))
        except OSError as error:
            reason = error.strerror or str(error)
            raise MorphMLError(
                f"cannot write trial {chosen.number} to {folder}: {reason}; name another folder"
            ) from error

    def _chosen(self, which: Trial | int | Literal["best"]) -> Trial:
        trial = self.best() if which == "best" else self.state.trials.get(which) if isinstance(which, int) else which
        if trial is None:
            raise MorphMLError(
                f"there is no trial {which} of '{self.name}' to export; `morphml trials` lists those that there are"
            )
        while trial.duplicate_of is not None:
            trial = self.state.trials[trial.duplicate_of]
        return trial

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report, one HTML page, and return its path (default: report.html in the output folder).  Needs the extra `report`."""
        from morphml_core.report.material import Material
        from morphml_core.report.page import write

        state = self.state
        material = Material(
            experiment=self.name,
            problem=self.problem,
            trials=self.trials(),
            status=status(self.state),
            reason=state.reason,
            best=self.best(),
            front=self.front(),
            finalists=state.finalists,
            configuration=self.configuration.to_json(),
            versions=state.started.versions if state.started else {},
            elapsed=state.elapsed(),
            signature=self.evaluator.signature if isinstance(self.evaluator, Signed) else None,
        )
        return write(material, Path(path) if path is not None else self.output / "report.html")

    def _check_unchanged(self) -> None:
        started = self.state.started
        if started is None:
            if self._read_only:
                raise StorageError(
                    f"experiment '{self.name}' has not started: its storage has no record of it; start it with `morphml run`"
                )
            return
        changed = difference(started.configuration, self.configuration.trajectory())
        if changed:
            raise ConfigurationError([
                Complaint(
                    self.configuration.source,
                    f"experiment '{self.name}' was started with another configuration: {changed}; "
                    "put it back to go on, or give the experiment a new name",
                )
            ])  # fmt: skip


class _Listeners:
    """Several listeners as one."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def notify(self, event: Any, state: State) -> None:
        """Tell each of them."""
        for listener in self._listeners:
            listener.notify(event, state)


def open_experiment(
    configuration: str | Path | Mapping[str, Any] | Configuration | Resolved,
    overrides: Sequence[str] = (),
    *,
    take_over: bool = False,
    read_only: bool = False,
) -> Experiment:
    """Open the experiment of a configuration: a file (YAML or TOML), or a mapping in which components may be objects.

    `overrides` are texts such as `stop.trials=50`.  `take_over` allows running an experiment that a process on another host has
    not closed.  `read_only` raises `StorageError` where the experiment has not started.  Raises `ConfigurationError` with
    everything that is wrong at once.
    """
    if isinstance(configuration, str | Path):
        resolved = resolve_file(configuration, overrides)
    elif isinstance(configuration, Mapping):
        resolved = resolve_mapping(configuration, overrides)
    else:
        resolved = configuration if isinstance(configuration, Resolved) else resolve(configuration)
    return Experiment(resolved, read_only=read_only, take_over=take_over)


def search(
    space: Any,
    evaluator: Any,
    *,
    objectives: Sequence[Any] = ("value",),
    stop: Mapping[str, Any] | int = 100,
    optimizer: Any = DEFAULT,
    executor: Any = "inline",
    storage: Any = "memory",
    experiment: str = "search",
    hooks: Sequence[Any] = (),
    **sections: Any,
) -> Experiment:
    """Search, and return the experiment when a stop condition is met.

    Components are names, mappings of options, or objects; `evaluator` may be any function of a candidate that returns a number or
    a mapping of metrics.  `stop` is a number of trials, or a mapping such as {"trials": 100, "time": "10m"}.  `sections` are
    further sections of a configuration (seed, constraints, reproducible, finalists, ...).
    """
    given = {
        "space": space,
        "evaluator": evaluator if _is_component(evaluator) else {"name": "function", "function": evaluator},
        "optimizer": optimizer,
        "executor": executor,
        "storage": storage,
    }
    configuration = {
        "experiment": experiment,
        "objectives": list(objectives),
        "stop": {"trials": stop} if isinstance(stop, int) else dict(stop),
        "hooks": list(hooks),
        **{kind: held if isinstance(held, str | Mapping) else {PYTHON: held} for kind, held in given.items()},
        **sections,
    }
    opened = open_experiment(configuration)
    opened.run()
    return opened


def _is_component(evaluator: Any) -> bool:
    return isinstance(evaluator, str | Mapping) or hasattr(evaluator, "evaluate")
