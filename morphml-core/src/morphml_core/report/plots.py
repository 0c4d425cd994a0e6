"""The plotly figures of the page.  Each function returns a figure, or None where there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from morphml_core.problem import Objective, Trial, TrialState
from morphml_core.report.format import number, value
from morphml_core.report.importance import Importance
from morphml_core.report.material import Material, best_so_far, compared, kind, measured, thin
from morphml_core.space.domains import Choice, Domain, Real, Subset

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

DOTS = 4000
LINES = 1500
_AXES = 10
_CURVES = 12
_FAINT = 60
BLUE, ORANGE, GREEN, RED, GREY, PURPLE = "#3b82c4", "#e08a2c", "#3a9d6e", "#cf4b4b", "#8a8f98", "#8e6bbf"
_COLOURS = {"finished": BLUE, "stopped": ORANGE, "duplicate": GREY, "repeat": PURPLE, "running": GREEN, "failed": RED}
_SCALE = [[0.0, "#b9c0ca"], [0.5, "#6ea3d3"], [0.85, "#3b6fb4"], [1.0, "#d4572a"]]
_CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, "#2aa3a3", "#b5792f", "#c45a9a", "#6f8f2f", "#5a6acf", "#9c5b4a", "#4f7f8f")


def _figure(height: int) -> Figure:
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 30, "b": 92},
        hovermode="closest",
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0},
    )
    return figure


def history(material: Material, objective: Objective) -> Figure | None:
    """The best value so far over the trials' numbers, with each trial as a dot coloured by its state."""
    shown = [trial for trial in material.trials if measured(trial, objective.name)]
    if not shown:
        return None
    numbers, values = best_so_far(material.problem, material.trials, objective)
    figure = _figure(400)
    for state, trials in _by_kind(thin(shown, frozenset(numbers), DOTS)).items():
        figure.add_scatter(
            x=[trial.number for trial in trials], y=[trial.metrics[objective.name] for trial in trials], mode="markers", name=state,
            marker={"color": _COLOURS.get(state, GREY), "size": 6, "opacity": 0.55}, hovertemplate="trial %{x}: %{y}<extra>" + state + "</extra>",
        )  # fmt: skip
    if numbers:
        figure.add_scatter(
            x=[*numbers, material.trials[-1].number], y=[*values, values[-1]], mode="lines", name="best so far",
            line={"shape": "hv", "width": 2.5, "color": "#d4572a"}, hovertemplate="best up to trial %{x}: %{y}<extra></extra>",
        )  # fmt: skip
    failed = [trial.number for trial in material.trials if trial.state is TrialState.FAILED]
    if failed:
        figure.add_scatter(
            x=failed[:DOTS], y=[0.0] * len(failed[:DOTS]), yaxis="y2", mode="markers", name="failed", hovertemplate="trial %{x} failed<extra></extra>",
            marker={"color": RED, "symbol": "line-ns-open", "size": 9},
        )  # fmt: skip
        figure.update_layout(yaxis2={"overlaying": "y", "range": [-0.04, 1], "visible": False, "fixedrange": True})
    figure.update_xaxes(title="trial")
    figure.update_yaxes(
        title=escape(objective.name),
        range=_window([trial.metrics[objective.name] for trial in shown], objective),
        selector={"visible": None},
    )
    return figure


def _window(values: Sequence[float], objective: Objective) -> list[float] | None:
    """A range of the axis that is not ruled by the worst few; a double click on the plot shows all."""
    low, middle, high = (float(np.quantile(values, q)) for q in (0.0, 0.5, 1.0))
    best = high if objective.goal == "maximize" else low
    worst = float(np.quantile(values, 0.05 if objective.goal == "maximize" else 0.95))
    span = abs(best - worst)
    if span == 0 or abs(best - middle) == 0 or (high - low) < 1.6 * span:
        return None
    return sorted([worst - (best - worst) * 0.08, best + (best - worst) * 0.08])


def _by_kind(trials: Sequence[Trial]) -> Mapping[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(kind(trial), []).append(trial)
    return {state: groups[state] for state in [*_COLOURS, *groups] if state in groups}


def fronts(material: Material) -> list[tuple[str, Figure]]:
    """A scatter for each pair of objectives (at most six), with the Pareto front marked."""
    pairs = list(combinations(material.problem.objectives, 2))[:6]
    drawn = [(f"{b.name} against {a.name}", _front(material, a, b)) for a, b in pairs]
    return [(title, figure) for title, figure in drawn if figure is not None]


def _front(material: Material, first: Objective, second: Objective) -> Figure | None:
    shown = [trial for trial in material.trials if measured(trial, first.name) and measured(trial, second.name)]
    if not shown:
        return None
    on_front = frozenset(trial.number for trial in material.front)
    x, y = second.name, first.name
    figure = _figure(440)
    feasible = [trial for trial in shown if material.problem.violation(trial) == 0]
    broken = [trial for trial in shown if material.problem.violation(trial) > 0]
    for name, trials, colour in (("trials", feasible, BLUE), ("break a constraint", broken, RED)):
        if trials:
            figure.add_scatter(
                **_dots(thin(trials, on_front, DOTS), x, y),
                name=name,
                marker={"color": colour, "size": 6, "opacity": 0.4},
            )
    front = sorted(
        (trial for trial in material.front if measured(trial, x) and measured(trial, y)),
        key=lambda trial: trial.metrics[x],
    )
    if front:
        mode = "lines+markers" if len(material.problem.objectives) == 2 else "markers"
        figure.add_scatter(
            **{**_dots(front, x, y), "mode": mode}, name="Pareto front", line={"color": "#d4572a", "width": 1.5, "dash": "dot"},
            marker={"color": "#d4572a", "size": 9},
        )  # fmt: skip
    values = [trial.metrics[x] for trial in shown]
    spread = min(values) > 0 and max(values) / min(values) > 50
    figure.update_xaxes(title=escape(f"{x} ({second.goal})"), type="log" if spread else "linear")
    figure.update_yaxes(
        title=escape(f"{y} ({first.goal})"),
        range=None if spread else _window([trial.metrics[y] for trial in shown], first),
    )
    return figure


def _dots(trials: Sequence[Trial], x: str, y: str) -> dict[str, Any]:
    return {
        "x": [trial.metrics[x] for trial in trials], "y": [trial.metrics[y] for trial in trials], "mode": "markers",
        "customdata": [trial.number for trial in trials],
        "hovertemplate": f"trial %{{customdata}}<br>{escape(x)} %{{x}}<br>{escape(y)} %{{y}}<extra></extra>",
    }  # fmt: skip


def parallel(material: Material, importance: Importance | None) -> tuple[Figure, int] | None:
    """Parallel coordinates of the decisions that matter most against the objectives, and how many trials they show."""
    from plotly.graph_objects import Figure

    main = material.main
    shown = compared(material.trials, main.name)
    paths = _axes(material, shown, importance)
    if len(shown) < 2 or not paths:
        return None
    best = frozenset(trial.number for trial in sorted(shown, key=material.problem.rank_key)[: LINES // 3])
    rows = thin(shown, best, LINES - len(best))
    axes = [_decision_axis(material, rows, path) for path in paths]
    axes += [_metric_axis(rows, objective.name) for objective in material.problem.objectives]
    colour = [trial.metrics[main.name] for trial in rows]
    low, high = _window(colour, main) or [min(colour), max(colour)]
    line = {
        "color": colour, "colorscale": _SCALE, "reversescale": main.goal == "minimize", "cmin": low, "cmax": high, "showscale": True,
        "colorbar": {"thickness": 12, "title": {"text": escape(main.name), "side": "right"}},
    }  # fmt: skip
    figure = Figure()
    figure.add_parcoords(
        dimensions=axes, line=line, labelangle=-20, labelside="top", unselected={"line": {"opacity": 0.04}}
    )
    figure.update_layout(template="none", height=480, margin={"l": 70, "r": 70, "t": 110, "b": 24})
    return figure, len(rows)


def _axes(material: Material, rows: Sequence[Trial], importance: Importance | None) -> list[str]:
    """The most important decisions (those that vary, without importance), in the order of the space."""
    decisions = material.problem.decisions.decisions
    varying = [d.path for i, d in enumerate(decisions) if len({trial.genotype.slots[i] for trial in rows}) > 1]
    ranked = list(importance.values) if importance is not None else varying
    chosen = set([path for path in ranked if path in varying][:_AXES])
    return [path for path in varying if path in chosen]


def _short(path: str, length: int = 30) -> str:
    return path if len(path) <= length else "…" + path[-length + 1 :]


def _decision_axis(material: Material, rows: Sequence[Trial], path: str) -> dict[str, Any]:
    index = material.problem.decisions.index(path)
    domain = material.problem.decisions.decisions[index].domain
    slots = [trial.genotype.slots[index] for trial in rows]
    axis = _ticks(domain, slots)
    return {"label": escape(_short(path)), **axis}


def _ticks(domain: Domain, slots: Sequence[Any]) -> dict[str, Any]:
    """Values and ticks of one axis: names for choices and subsets, numbers otherwise; inactive decisions lie below."""
    if isinstance(domain, Choice | Subset):
        known = (
            list(domain.values) if isinstance(domain, Choice) else sorted({slot for slot in slots if slot is not None})
        )
        places = [len(known) if slot is None else known.index(slot) for slot in slots]
        names = [value(one) for one in known] + (["inactive"] if None in slots else [])
        return {
            "values": places, "tickvals": list(range(len(names))), "ticktext": [_short(name, 15) for name in names],
            "range": [0, max(len(names) - 1, 1)],
        }  # fmt: skip
    turn = math.log10 if domain.log else float
    low, high = turn(domain.low), turn(domain.high)
    below = low - (high - low or 1.0) * 0.15
    marks = (
        [low + (high - low) * step / 4 for step in range(5)]
        if isinstance(domain, Real) or domain.log
        else _whole(domain.low, domain.high)
    )
    names = [_mark(10**mark if domain.log else mark, isinstance(domain, Real)) for mark in marks]
    if None in slots:
        marks, names = [below, *marks], ["inactive", *names]
    return {
        "values": [below if slot is None else turn(slot) for slot in slots],
        "tickvals": marks, "ticktext": names, "range": [below if None in slots else low, high],
    }  # fmt: skip


def _whole(low: float, high: float) -> list[float]:
    step = max(1, math.ceil((high - low) / 8))
    return [float(mark) for mark in range(int(low), int(high) + 1, step)]


def _mark(mark: float, real: bool) -> str:
    return f"{mark:.2g}" if real else str(round(mark))


def _metric_axis(rows: Sequence[Trial], name: str) -> dict[str, Any]:
    values = [trial.metrics.get(name, math.nan) for trial in rows]
    known = [one for one in values if math.isfinite(one)]
    fallback = min(known, default=0.0)
    return {
        "label": f"<b>{escape(_short(name))}</b>",
        "values": [one if math.isfinite(one) else fallback for one in values],
    }


def importances(found: Importance) -> Figure | None:
    """Bars, the most important decision on top; the fifteen largest."""
    top = list(found.values.items())[:15][::-1]
    if not top:
        return None
    figure = _figure(80 + 26 * len(top))
    figure.add_bar(
        x=[share for _, share in top], y=[escape(_short(path, 40)) for path, _ in top], orientation="h",
        marker={"color": BLUE}, hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(margin={"l": 8, "r": 16, "t": 30, "b": 40}, bargap=0.35)
    figure.update_xaxes(title="share of the variance", rangemode="tozero")
    figure.update_yaxes(automargin=True, type="category")
    return figure


def curves(material: Material) -> tuple[str, Figure] | None:
    """Learning curves: the best trials in colour, some others faint.  Returns the metric and the figure."""
    with_curve = [trial for trial in material.trials if len(trial.curve) > 1 and trial.repeat_of is None]
    names = [name for trial in with_curve for _, metrics in trial.curve[-1:] for name in metrics]
    if not names:
        return None
    metric = next(
        (o.name for o in material.problem.objectives if o.name in names),
        max(set(names), key=lambda n: (names.count(n), n)),
    )
    ranked = sorted((t for t in with_curve if any(metric in m for _, m in t.curve)), key=material.problem.rank_key)
    figure = _figure(420)
    others = thin(ranked[_CURVES:], frozenset(), _FAINT)
    x, y = _joined(others, metric)
    if others:
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            name="others",
            line={"color": "rgba(128,128,128,0.28)", "width": 1},
            hoverinfo="skip",
        )
    for colour, trial in zip(_CYCLE, ranked[:_CURVES], strict=False):
        x, y = _joined([trial], metric)
        figure.add_scatter(
            x=x, y=y, mode="lines+markers", name=f"trial {trial.number}", line={"color": colour, "width": 2}, marker={"size": 4},
            hovertemplate="step %{x}: %{y:.4f}<extra>trial " + str(trial.number) + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(title="step (epochs)")
    figure.update_yaxes(title=escape(metric))
    figure.update_layout(
        margin={"b": 46},
        legend={"orientation": "v", "y": 1, "yref": "paper", "yanchor": "top", "x": 1.02, "xanchor": "left"},
    )
    return metric, figure


def _joined(trials: Sequence[Trial], metric: str) -> tuple[list[int | None], list[float | None]]:
    """The curves as one line with gaps between the trials."""
    x: list[int | None] = []
    y: list[float | None] = []
    for trial in trials:
        points = [
            (step, metrics[metric]) for step, metrics in trial.curve if math.isfinite(metrics.get(metric, math.nan))
        ]
        x += [step for step, _ in points] + [None]
        y += [held for _, held in points] + [None]
    return x[:-1], y[:-1]


def headline(trial: Trial, objectives: Sequence[Objective]) -> str:
    """The objectives of a trial in one line."""
    return ", ".join(f"{o.name} {number(trial.metrics[o.name])}" for o in objectives if o.name in trial.metrics)
