"""Puts the page together: figures as data, tables as rows, one HTML file that loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.report import drawing, plots, tables
from morphml_core.report.format import duration, number, value
from morphml_core.report.importance import importance
from morphml_core.report.material import Material, measured

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HINT = "a report needs plotly and jinja2; install them with: pip install 'morphml-core[report]'"


@attrs.frozen
class Section:
    """One part of the page: a title, a sentence about what it shows, and a figure or a reason why there is none."""

    key: str
    title: str
    text: str = ""
    figure: str = ""
    wide: bool = False


def available() -> bool:
    """Whether the packages that a report needs are installed."""
    return all(find_spec(name) is not None for name in ("plotly", "jinja2"))


def write(material: Material, path: Path) -> Path:
    """Write the page.  Raises `MorphMLError` where plotly or jinja2 is missing or the file cannot be written."""
    text = render(material)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MorphMLError(f"cannot write the report to {path}: {error.strerror}; name another file") from error
    return path


def render(material: Material) -> str:
    """The page as text.  Raises `MorphMLError` where plotly or jinja2 is missing."""
    if not available():
        raise MorphMLError(HINT)
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("morphml_core.report", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    folder = files("morphml_core.report") / "page"
    return environment.get_template("page.html").render(
        material=material,
        facts=tables.facts(material),
        best=_best(material),
        sections=_sections(material),
        failures=tables.failures(material),
        finalists=tables.finalists(material),
        objectives=[objective.name for objective in material.problem.objectives],
        trials=_script_safe(json.dumps(tables.trials(material), default=str, allow_nan=False)),
        row_limit=tables.ROWS,
        configuration=_configuration(material.configuration),
        plotly=get_plotlyjs(),
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
    )


def _script_safe(text: str) -> str:
    """JSON that no HTML parser takes for a tag."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _json(figure: Figure | None) -> str:
    return "" if figure is None else _script_safe(str(figure.to_json()))


def _configuration(configuration: Mapping[str, Any]) -> str:
    import yaml

    plain = json.loads(json.dumps(configuration, default=str))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)) if plain else ""


def _best(material: Material) -> dict[str, Any] | None:
    """What the page says of the best trial."""
    trial = material.best
    if trial is None:
        return None
    objectives = [objective.name for objective in material.problem.objectives]
    shown = {name: number(held) for name, held in trial.metrics.items()}
    others = [name for name in shown if name not in objectives]
    others.sort(key=lambda name: not name.startswith("test"))
    return {
        "number": trial.number,
        "objectives": [(name, shown[name]) for name in objectives if name in shown],
        "others": [(name, shown[name]) for name in others[:2]],
        "metrics": list(shown.items()),
        "decisions": [(path, value(slot)) for path, slot in material.problem.decisions.values(trial.genotype).items()],
        "duration": duration(trial.duration),
    }


def _sections(material: Material) -> list[Section]:
    found = [*_histories(material), *_fronts(material), *_curves(material), *_network(material), *_decisions(material)]
    if not found:
        return [
            Section(
                "empty",
                "No results yet",
                "No trial has a value of an objective yet, so there is nothing to plot.",
                wide=True,
            )
        ]
    if sum(not section.wide for section in found) % 2:
        found[0] = attrs.evolve(found[0], wide=True)
    return found


def _histories(material: Material) -> list[Section]:
    sections = []
    for index, objective in enumerate(material.problem.objectives[:4]):
        figure = plots.history(material, objective)
        if figure is None:
            continue
        count = sum(measured(trial, objective.name) for trial in material.trials)
        text = "Each dot is a trial; the line is the best so far among those that break no constraint."
        if count > plots.DOTS:
            text += f" {number(plots.DOTS)} of {number(count)} dots are drawn, all improvements among them."
        sections.append(Section(f"history{index}", f"Best {objective.name} so far", text, _json(figure)))
    return sections


def _fronts(material: Material) -> list[Section]:
    text = "Trials on the front are those that no other trial beats in every objective."
    return [
        Section(f"front{index}", title, text, _json(figure))
        for index, (title, figure) in enumerate(plots.fronts(material))
    ]


def _network(material: Material) -> list[Section]:
    if material.best is None:
        return []
    try:
        graph = material.problem.candidate(material.best.genotype).graph
        if graph is None:
            return []
        figure = drawing.network(graph, material.problem.space.operations, material.signature)
    except MorphMLError as error:
        return [Section("network", "The best network", f"It cannot be drawn: {error}")]
    text = f"Trial {material.best.number}, from input to output. Nodes in a row share a box, and a dotted frame holds what is there several times"
    text += "; below them, the shape that leaves it (without the batch)." if material.signature is not None else "."
    return [Section("network", "The best network", text, _json(figure), wide=True)]


def _decisions(material: Material) -> list[Section]:
    sections = []
    ranked = {
        objective.name: importance(material.problem, material.trials, objective)
        for objective in material.problem.objectives[:3]
    }
    lines = plots.parallel(material, ranked[material.main.name])
    if lines is not None:
        text = (
            f"One line a trial ({number(lines[1])} of them), coloured by {material.main.name}. Drag along an axis to keep only the lines through it; "
            "drag a name to move its axis."
        )
        sections.append(Section("parallel", "Decisions and objectives", text, _json(lines[0]), wide=True))
    for index, found in enumerate(ranked.values()):
        figure = plots.importances(found) if found is not None else None
        if found is not None and figure is not None:
            sections.append(
                Section(f"importance{index}", f"What matters for {found.objective}", found.method, _json(figure))
            )
    return sections


def _curves(material: Material) -> list[Section]:
    found = plots.curves(material)
    if found is None:
        return []
    metric, figure = found
    return [Section("curves", "Learning curves", f"{metric} after each step, best trials in colour.", _json(figure))]
