"""What the benchmarks share: results kept in files so that later runs add to them, intervals, plots with bands, and how results are printed."""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from morphml_core.errors import MorphMLError

Curve = Sequence[tuple[int, float]]
"""Where a value changes, and to what: [(1, 3.2), (7, 1.1)] is 3.2 from the first evaluation on and 1.1 from the seventh."""


def value_at(curve: Curve, count: int) -> float:
    """The value after that many evaluations; NaN before the first."""
    found = math.nan
    for step, value in curve:
        if step > count:
            break
        found = value
    return found


def changes(values: Iterable[float]) -> list[tuple[int, float]]:
    """The curve of one value an evaluation."""
    curve: list[tuple[int, float]] = []
    for count, value in enumerate(values, 1):
        if not math.isnan(value) and (not curve or curve[-1][1] != value):
            curve.append((count, value))
    return curve


def label(method: str, options: Mapping[str, Any]) -> str:
    """A method and its options, which make it another one."""
    return ",".join([method, *(f"{name}={value}" for name, value in sorted(options.items()))])


@attrs.define
class Runs:
    """The curves of the runs of one method on one table, by seed, as a file has them."""

    table: str
    method: str
    evaluations: int
    options: dict[str, Any] = attrs.field(factory=dict)
    curves: dict[int, list[tuple[int, float]]] = attrs.field(factory=dict)
    seconds: dict[int, float] = attrs.field(factory=dict)

    @property
    def label(self) -> str:
        """The method and its options, which make it another one."""
        return label(self.method, self.options)

    def path(self, folder: Path) -> Path:
        """Its file in a folder of results."""
        return folder / self.table.replace("/", "--") / f"{self.label}@{self.evaluations}.json"

    def load(self, folder: Path | None) -> Runs:
        """With the runs that the folder has already."""
        if folder is not None and self.path(folder).exists():
            return _read(self.path(folder))
        return self

    def save(self, folder: Path | None) -> None:
        """Write the file; atomically, so that a search may be killed at any time."""
        if folder is None:
            return
        path = self.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(attrs.asdict(self)))
        beside.replace(path)

    def at(self, count: int) -> list[float]:
        """The values of the runs, by seed, after that many evaluations."""
        return [value_at(self.curves[seed], count) for seed in sorted(self.curves)]


def _read(path: Path) -> Runs:
    found = json.loads(path.read_text())
    curves = {int(seed): [(step, value) for step, value in curve] for seed, curve in found.pop("curves").items()}
    seconds = {int(seed): value for seed, value in found.pop("seconds").items()}
    return Runs(**found, curves=curves, seconds=seconds)


def kept(folder: Path) -> list[Runs]:
    """All results of a folder."""
    return [_read(path) for path in sorted(folder.glob("*/*@*.json")) if not path.name.startswith(".")]


# intervals --------------------------------------------------------------------------------------------


def quantile(freedom: float) -> float:
    """The 0.975 quantile of Student's t, by its expansion in 1/freedom (Abramowitz and Stegun, 26.7.5): to 0.5 % from 4 on."""
    z = statistics.NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def summary(values: Sequence[float], digits: int = 5) -> dict[str, float]:
    """Mean and standard error of the mean, to so many significant digits."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return {"mean": rounded(statistics.fmean(values), digits), "sem": rounded(error, digits)}


def rounded(value: float, digits: int = 5) -> float:
    """The value to so many significant digits."""
    return float(f"{value:.{digits}g}")


def difference(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The mean of one less that of the other, and half the width of its 95 % interval (Welch)."""
    gap = statistics.fmean(one) - statistics.fmean(other)
    if len(one) < 2 or len(other) < 2:
        return gap, math.inf
    parts = [statistics.variance(values) / len(values) for values in (one, other)]
    if sum(parts) == 0.0:
        return gap, 0.0
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    return gap, quantile(freedom) * math.sqrt(sum(parts))


# plots ------------------------------------------------------------------------------------------------


@attrs.frozen
class Line:
    """A line of a plot: its mean at each x, and half the width of its band."""

    label: str
    x: Sequence[float]
    mean: Sequence[float]
    half: Sequence[float]
    dashed: bool = False


def line_of(label: str, x: Sequence[float], runs: Sequence[Sequence[float]], dashed: bool = False) -> Line:
    """The line of some runs, each with one value an x: their mean and its 95 % interval."""
    values = np.array(runs, dtype=float)
    count = len(values)
    half = np.zeros(len(x))
    if count > 1:
        half = quantile(count - 1) * values.std(axis=0, ddof=1) / math.sqrt(count)
    return Line(label, x, values.mean(axis=0).tolist(), half.tolist(), dashed)


def plot(
    path: Path, panels: Mapping[str, Sequence[Line]], x: str, y: str, *, log_x: bool = False, log_y: bool = False
) -> None:
    """Write a picture (PNG or SVG, by its name) with a panel for each group of lines; none where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    if not panels:
        return
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.6), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    labels = sorted({line.label for lines in panels.values() for line in lines})
    for (title, lines), axis in zip(panels.items(), axes, strict=False):
        for line in lines:
            _draw(axis, line, labels.index(line.label))
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(x, fontsize=8)
        axis.set_ylabel(y, fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if log_x:
            axis.set_xscale("log")
        if log_y:
            axis.set_yscale("log")
    for axis in axes[len(panels) :]:
        axis.axis("off")
    handles = {
        text: handle for axis in figure.axes for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw(axis: Any, line: Line, number: int) -> None:
    mean, half = np.array(line.mean), np.array(line.half)
    color = f"C{number % 10}"
    style = "--" if line.dashed else ("-", "-.")[number // 10 % 2]
    axis.plot(line.x, mean, style, color=color, label=line.label, linewidth=1.2)
    axis.fill_between(line.x, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)


# the command line -------------------------------------------------------------------------------------


def report(results: Iterable[Mapping[str, Any]], line: Callable[[Mapping[str, Any]], str], as_json: bool) -> int:
    """Print each result as soon as it is there, as a line in words or of JSON, and return the exit code.

    A `MorphMLError` is printed to the standard error, and ends the results.
    """
    try:
        for found in results:
            print(json.dumps(found) if as_json else line(found), flush=True)
    except MorphMLError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0
