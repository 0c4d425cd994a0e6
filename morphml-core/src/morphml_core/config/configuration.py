"""The configuration of an experiment: stage one, before any component is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from morphml_core.config.sections import Finalists, Limits, Reproducible, Retries, Stop
from morphml_core.plugins.component import DEFAULT, HOOK, ComponentRef, Part
from morphml_core.plugins.hooks import Context
from morphml_core.plugins.objects import described
from morphml_core.plugins.refs import PYTHON
from morphml_core.plugins.words import shown
from morphml_core.problem import Constraint, Objective, Predicate

TRAJECTORY = (
    "space", "evaluator", "optimizer", "stopper", "objectives", "constraints", "seed", "reproducible", "deduplicate",
)  # fmt: skip
"""The sections that shape which trials there are and what comes of them; the others may change while an experiment pauses."""


@attrs.frozen
class Configuration:
    """One experiment.  References are not loaded yet: `resolve` makes parts of them.

    `folder` is that of the file (None: there is none): relative `python:` references and data files are below it.  `source` is the
    file as it was named.
    """

    experiment: str
    """The name of the experiment: letters, digits, '.', '_' and '-'."""
    objectives: tuple[Objective, ...]
    """What is wanted, the most important first: a name (maximized), or {name, goal: minimize}."""
    space: ComponentRef
    """What is searched."""
    evaluator: ComponentRef
    """How a candidate is measured."""
    stop: Stop
    """When the search ends."""
    optimizer: ComponentRef = attrs.field(factory=lambda: ComponentRef("optimizer", DEFAULT))
    """How candidates are proposed; where it is not set, by the default that an installed distribution offers, or `random`."""
    constraints: tuple[Constraint | Predicate, ...] = ()
    """Bounds on metrics, `parameters <= 1e6`; or functions of a candidate, `{python: "my_rules.py:shallow"}`, that say whether it may be evaluated."""
    seed: int = 0
    """The seed of all randomness of the experiment."""
    stopper: ComponentRef | None = None
    """What stops hopeless trials early."""
    executor: ComponentRef = attrs.field(factory=lambda: ComponentRef("executor", "inline"))
    """Where evaluations run."""
    storage: ComponentRef = attrs.field(factory=lambda: ComponentRef("storage", "sqlite"))
    """Where the record is kept: a URL or a component; `sqlite:///<experiment>.db` where it is not set."""
    artifacts: ComponentRef = attrs.field(factory=lambda: ComponentRef("artifacts", "local"))
    """Where models and checkpoints are kept."""
    cache: ComponentRef | None = None
    """Where results are shared with other experiments."""
    hooks: tuple[ComponentRef, ...] = attrs.field(factory=lambda: (ComponentRef(HOOK, "progress"),))
    """Who is told what happens."""
    trial: Limits = attrs.field(factory=Limits)
    """What one trial may use."""
    reproducible: Reproducible | None = None
    """Makes a parallel search the same, bit for bit."""
    finalists: Finalists | None = None
    """How the leaders are evaluated again."""
    deduplicate: bool = True
    """Whether a network that was evaluated already, at the same budget, gets the recorded result."""
    output: Path = Path("results")
    """Where the report and exported models go; `results/<experiment>` where it is not set."""
    folder: Path | None = attrs.field(default=None, eq=False)
    source: str = attrs.field(default="", eq=False)

    def refs(self) -> Iterator[tuple[str, ComponentRef]]:
        """Every reference, with the path of its section."""
        for section in ("space", "evaluator", "optimizer", "stopper", "executor", "storage", "artifacts", "cache"):
            ref = getattr(self, section)
            if ref is not None:
                yield section, ref
        for index, ref in enumerate(self.hooks):
            yield f"hooks[{index}]", ref

    def to_json(self) -> dict[str, Any]:
        """The whole configuration as plain JSON."""
        fields = [f.name for f in attrs.fields(Configuration) if f.name not in ("folder", "source")]
        return {name: plain(getattr(self, name)) for name in fields}

    def trajectory(self) -> dict[str, Any]:
        """What shapes the trajectory, as plain JSON: an experiment goes on only where it is unchanged."""
        return {name: plain(getattr(self, name)) for name in TRAJECTORY}

    def context(self) -> Context:
        """What listeners get to know."""
        return Context(
            self.experiment, self.objectives, self.constraints, self.stop.trials, self.stop.evaluations, self.stop.time,
            self.stop.target, self.output, self.to_json(),
        )  # fmt: skip


def plain(value: Any) -> Any:
    """A value of a configuration as JSON can hold it; live objects by where their class or function is."""
    if isinstance(value, ComponentRef):
        name = {} if value.name == PYTHON else {"name": value.name}
        return name | {str(key): plain(option) for key, option in value.options.items()}
    if isinstance(value, Constraint):
        return f"{value.metric} {value.comparison} {_exact(value.bound)}"
    if isinstance(value, Predicate):
        return {PYTHON: value.name}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, Part):
        return plain(value.ref) | plain_config(value.config)
    return (
        plain_config(value)
        if isinstance(value, Objective | Stop | Limits | Retries | Reproducible | Finalists)
        else described(value)
    )


def _exact(bound: float) -> str:
    """A bound that reads back as it was; messages may round, the record must not."""
    return str(int(bound)) if bound.is_integer() and abs(bound) < 2**53 else repr(bound)


def plain_config(value: Any) -> dict[str, Any]:
    """The fields of an attrs value as plain JSON."""
    return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two trajectories, in words; empty where nothing does."""
    changes = list(_changes(old, json.loads(json.dumps(new)), ""))
    more = f"; and {len(changes) - 5} more" if len(changes) > 5 else ""
    return "; ".join(changes[:5]) + more


def _changes(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from _changes(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(before, after, f"{path}[{index}]")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield f"'{path}' was {_short(old)} and is now {_short(new)}"


def _short(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Mapping | list | tuple):
        text = json.dumps(value)
        return text if len(text) <= 60 else shown(value)
    return shown(value).rpartition(" (")[0]
