"""Opens an experiment from a configuration: every component built and joined.

The command line and the Python face stand on the same three functions: `open_experiment`, `search` and `check`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import attrs

from morphml_core.config import (
    Configuration,
    Resolved,
    difference,
    from_mapping,
    resolve,
    resolve_file,
    resolve_mapping,
)
from morphml_core.errors import (
    Complaint,
    ConfigurationError,
    EvaluationError,
    GraphError,
    MorphMLError,
    SpaceError,
    StorageError,
)
from morphml_core.experiment import settings as experiment_settings
from morphml_core.experiment.journal import Listener, is_alive, retry
from morphml_core.experiment.loop import INTERRUPTED, Loop
from morphml_core.experiment.settings import Settings
from morphml_core.experiment.state import State
from morphml_core.plugins.component import Part
from morphml_core.plugins.hooks import Hooks
from morphml_core.plugins.loader import Loader
from morphml_core.plugins.refs import PYTHON
from morphml_core.problem import Problem, Resources, Trial
from morphml_core.protocols import Artifacts, Evaluator, Exporter, Signed, Space, Storage, Workbench
from morphml_core.space.decisions import Genotype
from morphml_core.work import Work

_SAMPLES = 50
"""So many networks, drawn at random, are tried before a space is called impossible."""


class Experiment:
    """One experiment, opened.  Components are built when they are first needed.

    Attributes: `name`, `configuration`, `resolved`, `output` (the folder of reports and exports), and `state`.
    Closes its storage at the end of a `with` block, or by `close`.
    """

    def __init__(self, resolved: Resolved, *, read_only: bool = False, take_over: bool = False) -> None:
        self.resolved = resolved
        self.configuration = resolved.configuration
        self.name = self.configuration.experiment
        self.output = self.configuration.output
        self._read_only = read_only
        self._take_over = take_over
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
        made: Evaluator = _built(self.resolved.evaluator, self.space)
        return made

    @cached_property
    def artifacts(self) -> Artifacts:
        """Where models and checkpoints are kept."""
        made: Artifacts = _artifacts(self.resolved)
        return made

    @cached_property
    def storage(self) -> Storage:
        """The record."""
        made: Storage = self.resolved.storage.create(self.name)
        return made

    @cached_property
    def problem(self) -> Problem:
        """The space and what is wanted of it."""
        held = self.configuration
        return Problem(
            self.space,
            held.objectives,
            held.constraints,
            held.seed,
            parallelism=held.reproducible.window if held.reproducible else 1,
            trials=held.stop.trials,
            budget=self.evaluator.budget,
            known=self.evaluator.known,
        )

    @property
    def workload(self) -> Work:
        """What an executor runs."""
        return Work(self.space, self.evaluator, self.artifacts, _specification(self.resolved))

    @property
    def settings(self) -> Settings:
        """What the loop is told beside the problem."""
        held, limits, finals = self.configuration, self.configuration.trial, self.configuration.finalists
        return Settings(
            name=self.name,
            configuration=held.trajectory(),
            versions=_versions(),
            stop=experiment_settings.Stop(held.stop.trials, held.stop.evaluations, held.stop.time, held.stop.target),
            window=held.reproducible.window if held.reproducible else None,
            finalists=experiment_settings.Finalists(finals.top, finals.repeats, finals.epochs) if finals else None,
            deduplicate=held.deduplicate,
            retries=limits.retries,
            timeout=limits.timeout,
            resources=Resources(limits.cpus, limits.memory, limits.gpus),
            digest=_digest(held),
            take_over=self._take_over,
        )

    # what it does --------------------------------------------------------------------------------------

    def run(self, listeners: Sequence[Listener] = ()) -> str:
        """Search, or go on with a search, until a stop condition is met; returns why it ended, in words.

        `listeners` hear of every event beside the hooks of the configuration.  Raises `KeyboardInterrupt` after a clean stop by
        Ctrl-C, `ConfigurationError` for a space that is impossible, `HeldError` where another process holds the experiment,
        and `StorageError`.
        """
        _check_space(self.resolved, self.problem)
        hooks = Hooks.create(self.resolved.hooks, self.configuration.context())
        try:
            self._loop = self._make_loop(_Listeners([hooks, *listeners]))
            reason = self._loop.run()
        finally:
            hooks.close()
            self.refresh()
        if reason == INTERRUPTED:
            raise KeyboardInterrupt
        return reason

    def _make_loop(self, listener: Listener) -> Loop:
        resolved, problem = self.resolved, self.problem
        stopper, cache = resolved.stopper, resolved.cache
        executor = _built(resolved.executor, self.workload)
        if self.configuration.reproducible is None:
            problem.parallelism = executor.slots
        return Loop(
            problem,
            _built(resolved.optimizer, problem),
            executor,
            self.storage,
            self.settings,
            make_stopper=(lambda: _built(stopper, problem)) if stopper else None,
            cache=_built(cache) if cache else None,
            listener=listener,
        )

    def stop(self) -> None:
        """Let a running search end soon; may be called from a listener or another thread."""
        if self._loop is not None:
            self._loop.stop()

    def refresh(self) -> None:
        """Read what has been recorded since the last time."""
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

    def summary(self) -> dict[str, Any]:
        """Where the experiment stands, as plain JSON."""
        state, best = self.state, self.best()
        return {
            "experiment": self.name,
            "status": self._status(),
            "reason": state.reason,
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

    def _status(self) -> str:
        holder = self.state.holder
        if holder is not None and is_alive(holder) is False:
            return "interrupted"
        return self.state.status

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
        return evaluator.export(chosen, candidate, Workbench(self.artifacts), Path(folder))

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
            status=self._status(),
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
    optimizer: Any = "random",
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


def check(resolved: Resolved) -> None:
    """Build what a search needs and see whether its networks fit its data.  Evaluates nothing.

    Raises `ConfigurationError`.
    """
    space = resolved.space.create()
    evaluator = _built(resolved.evaluator, space)
    held = resolved.configuration
    problem = Problem(
        space, held.objectives, held.constraints, held.seed, budget=evaluator.budget, known=evaluator.known
    )
    _built(resolved.optimizer, problem)
    if resolved.stopper is not None:
        _built(resolved.stopper, problem)
    _check_space(resolved, problem)


def _check_space(resolved: Resolved, problem: Problem) -> None:
    """Refuse a space of which no network can be built, and constraints that cannot be asked."""
    rng, error = problem.rng(0, stream=2), None
    for _ in range(_SAMPLES):
        genotype = problem.decisions.sample(rng)
        try:
            problem.known(genotype)
        except GraphError as found:
            error = found
        except EvaluationError as found:
            raise _complaint(resolved.evaluator, f"{_owner(resolved.evaluator)}: {found}") from None
        else:
            return _check_predicates(resolved, problem, genotype)
    message = f"{_owner(resolved.space)}: no network of it can be built; {_SAMPLES} were drawn at random, the last one: {error}"
    raise _complaint(resolved.space, message)


def _check_predicates(resolved: Resolved, problem: Problem, genotype: Genotype) -> None:
    for predicate in problem.predicates:
        try:
            predicate.refusal(problem.candidate(genotype))
        except SpaceError as error:
            raise ConfigurationError([Complaint(resolved.configuration.source, str(error))]) from error


def _built(part: Part[Any], *collaborators: Any) -> Any:
    """The implementation; complaints that it raises while it is built get the place where the section stands."""
    try:
        return part.create(*collaborators)
    except ConfigurationError as error:
        placed = [c if c.where else Complaint(part.ref.where, c.message) for c in error.complaints]
        raise ConfigurationError(placed) from error.__cause__
    except StorageError:
        raise
    except MorphMLError as error:
        raise _complaint(part, f"{_owner(part)}: {error}") from error
    except ImportError as error:
        raise _complaint(part, f"{_owner(part)} cannot be built: {type(error).__name__}: {error}") from error


def _owner(part: Part[Any]) -> str:
    return f"{part.ref.kind} '{part.ref.name}'"


def _complaint(part: Part[Any], message: str) -> ConfigurationError:
    return ConfigurationError([Complaint(part.ref.where, message)])


def _artifacts(resolved: Resolved) -> Any:
    """The artifact store; one that keeps files in a folder, and was given none, keeps them in the output folder."""
    part = resolved.artifacts
    if getattr(part.config, "folder", "") is None:
        part = attrs.evolve(
            part, config=attrs.evolve(part.config, folder=str(resolved.configuration.output / "artifacts"))
        )
    return part.create(resolved.configuration.experiment)


def _specification(resolved: Resolved) -> Mapping[str, Any] | None:
    """What another process needs to build the same workload, as JSON; None where the configuration holds live objects."""
    held = resolved.configuration
    for ref in (held.space, held.evaluator, held.artifacts):
        if not _is_plain(ref.options):
            return None
    return {"configuration": held.to_json(), "folder": str(held.folder) if held.folder else None}


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(inner) for inner in value)
    return value is None or isinstance(value, bool | int | float | str)


def workload_from(specification: Mapping[str, Any]) -> Work:
    """The workload of a specification, built in this process."""
    folder = Path(specification["folder"]) if specification["folder"] else None
    configuration = from_mapping(specification["configuration"], folder=folder)
    loader = Loader(folder=folder)
    space: Space = loader.load(configuration.space).create()
    evaluator: Evaluator = loader.load(configuration.evaluator).create(space)
    artifacts = loader.load(configuration.artifacts)
    if getattr(artifacts.config, "folder", "") is None:
        artifacts = attrs.evolve(
            artifacts, config=attrs.evolve(artifacts.config, folder=str(configuration.output / "artifacts"))
        )
    return Work(space, evaluator, artifacts.create(configuration.experiment), specification)


def _digest(configuration: Configuration) -> str:
    """Identifies the evaluator with its options, for the keys of a shared cache."""
    plain = configuration.to_json()
    text = json.dumps([plain["evaluator"], configuration.seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    return {"morphml-core": version("morphml-core")}
