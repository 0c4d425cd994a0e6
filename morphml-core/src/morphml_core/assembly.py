"""Builds what a configuration names, and says with file and line what cannot be built."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs

from morphml_core.config import Configuration, Resolved
from morphml_core.config.configuration import plain
from morphml_core.errors import (
    Complaint,
    ConfigurationError,
    EvaluationError,
    GraphError,
    PluginError,
    SpaceError,
)
from morphml_core.plugins.building import built, complaint
from morphml_core.plugins.component import Part
from morphml_core.plugins.loader import Loader, owner_of
from morphml_core.plugins.refs import read_ref
from morphml_core.plugins.words import nearest
from morphml_core.problem import Constraint, Problem
from morphml_core.protocols import Artifacts, Checked, Evaluator, Measuring, Space
from morphml_core.space.decisions import Genotype
from morphml_core.work import Work

_SAMPLES = 50
"""So many networks, drawn at random, are tried before a space is called impossible."""


def check(resolved: Resolved) -> None:
    """Build what a search needs and see whether its networks fit its data.  Evaluates nothing.

    Raises `ConfigurationError`.
    """
    space = resolved.space.create()
    evaluator = built(resolved.evaluator, space)
    problem = problem_of(resolved.configuration, space, evaluator)
    built(resolved.optimizer, problem)
    if resolved.stopper is not None:
        built(resolved.stopper, problem)
    check_ready(resolved, problem, evaluator)


def check_ready(resolved: Resolved, problem: Problem, evaluator: Evaluator) -> None:
    """Refuse to begin a search that could only fail: an output that is no folder, data that are not there, an impossible space.

    Raises `ConfigurationError`.
    """
    _check_output(resolved.configuration)
    _check_metrics(resolved, evaluator)
    if isinstance(evaluator, Checked):
        try:
            evaluator.check_data()
        except EvaluationError as error:
            raise complaint(resolved.evaluator, f"{owner_of(resolved.evaluator.ref)}: {error}") from error
    check_space(resolved, problem)


def _check_output(configuration: Configuration) -> None:
    path = configuration.output.absolute()
    there = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return
    reason = "may not be written" if there.is_dir() else "is not a folder"
    message = f"section 'output': nothing can be written to {configuration.output}, because {there} {reason}; name another folder"
    raise ConfigurationError([Complaint(configuration.source, message)])


def _check_metrics(resolved: Resolved, evaluator: Evaluator) -> None:
    """Refuse objectives and constraints that the evaluator never measures, where it says what it measures."""
    if not isinstance(evaluator, Measuring):
        return
    held, names = resolved.configuration, evaluator.metrics
    wanted = [("objectives", objective.name) for objective in held.objectives]
    wanted += [("constraints", each.metric) for each in held.constraints if isinstance(each, Constraint)]
    complaints = []
    for section, name in wanted:
        if name not in names:
            near = nearest(name, names)
            cure = f"did you mean '{near}'?" if near else f"it gives {', '.join(names)}"
            message = f"section '{section}': the {owner_of(resolved.evaluator.ref)} gives no metric '{name}'; {cure}"
            complaints.append(Complaint(held.source, message))
    if complaints:
        raise ConfigurationError(complaints)


def problem_of(configuration: Configuration, space: Space, evaluator: Evaluator) -> Problem:
    """The space, and what the configuration wants of it."""
    window = configuration.reproducible.window if configuration.reproducible else 1
    return Problem(
        space,
        configuration.objectives,
        configuration.constraints,
        configuration.seed,
        parallelism=window,
        trials=configuration.stop.trials,
        budget=evaluator.budget,
        known=evaluator.known,
    )


def check_space(resolved: Resolved, problem: Problem) -> None:
    """Refuse a space of which no network can be built, and constraints that cannot be asked."""
    rng, error = problem.rng(0, stream=2), None
    for _ in range(_SAMPLES):
        genotype = problem.decisions.sample(rng)
        try:
            problem.known(genotype)
        except GraphError as found:
            error = found
        except EvaluationError as found:
            raise complaint(resolved.evaluator, f"{owner_of(resolved.evaluator.ref)}: {found}") from None
        else:
            return _check_predicates(resolved, problem, genotype)
    message = f"{owner_of(resolved.space.ref)}: no network of it can be built; {_SAMPLES} were drawn at random, the last one: {error}"
    raise complaint(resolved.space, message)


def _check_predicates(resolved: Resolved, problem: Problem, genotype: Genotype) -> None:
    for predicate in problem.predicates:
        try:
            predicate.refusal(problem.candidate(genotype))
        except SpaceError as error:
            raise ConfigurationError([Complaint(resolved.configuration.source, str(error))]) from error


def artifacts_of(resolved: Resolved) -> Artifacts:
    """The artifact store; one that keeps files in a folder, and was given none, keeps them in the output folder."""
    made: Artifacts = built(
        _placed(resolved.artifacts, resolved.configuration.output), resolved.configuration.experiment
    )
    return made


def _placed(part: Part[Any], output: Path) -> Part[Any]:
    if getattr(part.config, "folder", "") is not None:
        return part
    return attrs.evolve(part, config=attrs.evolve(part.config, folder=str(output / "artifacts")))


def specification_of(resolved: Resolved) -> Mapping[str, Any] | None:
    """What another process needs to build the same workload, as JSON; None where the configuration holds live objects."""
    held = resolved.configuration
    refs = (held.space, held.evaluator, held.artifacts)
    if not all(_is_plain(ref.options) for ref in refs):
        return None
    folder, output = (str(path.absolute()) if path else None for path in (held.folder, held.output))
    return {
        "experiment": held.experiment,
        "folder": folder,
        "output": output,
        "distributions": _versions([resolved.space, resolved.evaluator, resolved.artifacts]),
        **{ref.kind: plain(ref) for ref in refs},
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(inner) for inner in value)
    return value is None or isinstance(value, bool | int | float | str)


def workload_from(
    specification: Mapping[str, Any], folder: Path | None = None, artifacts: Artifacts | None = None
) -> Work:
    """The workload of a specification, built in this process.

    `folder`: where `python:` references and data files are looked for, in place of what the specification says; `artifacts`: the store, in
    place of the one that it names.  A specification from another machine has neither `folder` nor `output`.
    """
    given = specification.get("folder")
    loader = Loader(folder=folder or (Path(given) if given else None))
    space: Space = _loaded(loader, specification, "space").create()
    evaluator: Evaluator = _loaded(loader, specification, "evaluator").create(space)
    if artifacts is None:
        output = Path(specification.get("output") or folder or ".")
        artifacts = _placed(_loaded(loader, specification, "artifacts"), output).create(specification["experiment"])
    return Work(space, evaluator, artifacts, specification)


def _loaded(loader: Loader, specification: Mapping[str, Any], kind: str) -> Part[Any]:
    return loader.load(read_ref(kind, specification[kind], {}))


def digest(configuration: Configuration) -> str:
    """Identifies the evaluator with its options, for the keys of a shared cache."""
    text = json.dumps([plain(configuration.evaluator), configuration.seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions(resolved: Resolved) -> dict[str, str]:
    """The distributions in use with their versions: those of the components, by name."""
    return _versions([part for _, part in resolved.parts()])


def _versions(parts: Sequence[Part[Any]]) -> dict[str, str]:
    loader, found = Loader(), {"morphml-core": version("morphml-core")}
    for part in [each for outer in parts for each in outer.family()]:
        try:
            entry = loader.entry(part.ref.kind, part.ref.name)
        except PluginError:
            continue  # an object of this process
        found[entry.distribution] = entry.version
    return dict(sorted(found.items()))
