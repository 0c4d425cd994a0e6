"""Evaluator `table`: looks candidates up in a file of known results, so that any tabular benchmark can be searched.

evaluator:
  name: table
  path: nasbench201/cifar10.csv.gz
  key: ops
  metrics: {accuracy: [val_acc_200ep_s0, val_acc_200ep_s1, val_acc_200ep_s2], parameters: params_m}
  duration: train_time_s
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import attrs

from morphml_core.errors import EvaluationError, PluginError
from morphml_core.plugins.component import evaluator
from morphml_core.problem import Budget, Candidate, Cause, Metrics, Task
from morphml_core.protocols import Evaluation, Measurement, Space, Workbench
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer

Columns = str | list[str]
"""The name of one column, or of several that hold repeats of the same measurement."""


@attrs.frozen
class Config:
    """Where the results are, and how a candidate finds its row."""

    path: Path
    """A CSV or CSV.GZ file with a header."""
    key: str | list[str] | dict[str, str]
    """The column that identifies an architecture by the index of each decision's value, one after the other ("031240");
    or a list of columns named like the decisions; or the decision of each column ({lr_column: hyperparameters.lr})."""
    metrics: dict[str, Columns]
    """The column of each metric; where a list of columns holds repeats, the trial's seed draws one."""
    codes: dict[str | int | float | bool, str] = attrs.field(factory=dict)
    """How the table writes a decision's value, where that is neither its index nor the value itself."""
    known: list[str] = attrs.field(factory=list)
    """Metrics that need no evaluation, so that constraints on them are checked before."""
    duration: str | None = None
    """A column of training times; they become the metric `duration_s`."""
    duration_scale: float = 1.0
    """What to multiply the times with to get seconds."""
    epochs: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """After how many epochs the columns of `metrics` were measured."""
    budgets: dict[int, dict[str, Columns]] = attrs.field(factory=dict)
    """The columns after fewer epochs ({12: {accuracy: val_acc_12ep}})."""


@attrs.frozen
class File:
    """The cells of a CSV file, as text."""

    path: Path
    header: list[str]
    rows: list[list[str]]

    @classmethod
    def read(cls, path: Path) -> File:
        """Read a file.  Raises `PluginError` where it cannot be read or its rows differ in length."""
        try:
            with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
                rows = [row for row in csv.reader(stream) if row]
        except FileNotFoundError:
            raise PluginError(
                f"there is no table {path.absolute()}; relative paths begin at the configuration's folder"
            ) from None
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            raise PluginError(f"the table {path} cannot be read: {error}") from error
        if len(rows) < 2:
            raise PluginError(f"the table {path} has no rows; it needs a header and at least one row of results")
        header = rows.pop(0)
        for number, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise PluginError(
                    f"the table {path} has {len(row)} cells in row {number}, but {len(header)} in its header"
                )
        return cls(path, header, rows)

    def index(self, column: str) -> int:
        """The position of a column.  Raises `PluginError` where there is none of that name."""
        if column not in self.header:
            raise PluginError(f"the table {self.path} has no column '{column}'; there are {', '.join(self.header)}")
        return self.header.index(column)

    def numbers(self, columns: Columns) -> list[tuple[float, ...]]:
        """The numbers of each row in these columns; empty cells are left out.  Raises `PluginError` for anything else."""
        indices = [self.index(column) for column in ([columns] if isinstance(columns, str) else columns)]
        try:
            found = [tuple([float(row[index]) for index in indices if row[index]]) for row in self.rows]
            if all(map(math.isfinite, chain.from_iterable(found))):
                return found
        except ValueError:
            pass
        raise self._unreadable(indices)

    def _unreadable(self, indices: Sequence[int]) -> PluginError:
        """The complaint about the first cell that is no finite number."""
        for number, row in enumerate(self.rows, 2):
            for index in indices:
                if row[index] and not _is_finite(row[index]):
                    place = f"'{row[index]}' in row {number}, column '{self.header[index]}'"
                    return PluginError(f"the table {self.path} has {place}; a finite number is needed")
        raise AssertionError("every cell is a finite number")


def _is_finite(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


class Key:
    """How a genotype becomes the key of a row."""

    def __init__(self, config: Config, space: DecisionSpace, file: File) -> None:
        self._codes = {str(value): text for value, text in config.codes.items()}
        self._joined = isinstance(config.key, str)
        if isinstance(config.key, str):
            self.columns = [config.key]
            self._decisions = list(space.decisions)
        else:
            pairs = config.key if isinstance(config.key, dict) else {column: column for column in config.key}
            self.columns = list(pairs)
            self._decisions = [space.decisions[space.index(path)] for path in pairs.values()]
        self._indices = [file.index(column) for column in self.columns]
        self._texts = {decision.path: self._text(decision) for decision in self._decisions} if self._joined else {}

    def _text(self, decision: Decision) -> dict[Any, str]:
        """What the table writes for each value of a decision, where one column holds them all."""
        domain = decision.domain
        values: Sequence[Any] = domain.values if isinstance(domain, Choice) else ()
        if isinstance(domain, Integer) and domain.size <= 10:
            values = range(domain.low, domain.high + 1)
        if values and self._codes:
            return {value: self._code(decision, value) for value in values}
        if not 0 < len(values) <= 10:
            raise PluginError(
                f"the decision '{decision.path}' ({domain}) has no index of one digit, so one column cannot be its key; "
                "give 'key' a list of columns, one a decision"
            )
        return {value: str(index) for index, value in enumerate(values)}

    def _code(self, decision: Decision, value: Any) -> str:
        if str(value) not in self._codes:
            raise PluginError(f"'codes' has no text for the value {value!r} of the decision '{decision.path}'")
        return self._codes[str(value)]

    def of_row(self, row: Sequence[str]) -> tuple[Any, ...]:
        """The key of a row of the table."""
        if self._joined:
            return (row[self._indices[0]],)
        return tuple(_plain(row[index]) for index in self._indices)

    def of_values(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The key of the active decisions by path."""
        if self._joined:
            return ("".join(self._texts[path][value] for path, value in values.items()),)
        return tuple(self._column(values.get(decision.path)) for decision in self._decisions)

    def _column(self, value: Any) -> Any:
        text = "" if value is None else str(value)
        return _plain(self._codes.get(text, text))

    def describe(self, key: tuple[Any, ...]) -> str:
        """The key in words: ops '031240'."""
        return ", ".join(f"{column} {value!r}" for column, value in zip(self.columns, key, strict=True))


def _plain(text: str) -> float | str:
    """Numbers are compared as numbers ("1e-3" is 0.001), everything else as text."""
    try:
        return float(text)
    except ValueError:
        return text.strip()


class TableEvaluator:
    """Gives the recorded results of a candidate.

    Where a metric has repeats, the trial's seed draws one, the same one for every metric with as many.  Raises
    `PluginError`, when it is created, for a file, column, cell or decision that does not fit.
    """

    def __init__(self, config: Config, space: Space) -> None:
        self._config = config
        self._decisions = space.decisions
        file = File.read(config.path)
        self._path = file.path
        self._key = Key(config, space.decisions, file)
        self._rows = self._index(file)
        self._full = self._read(file, config.metrics)
        self._short = {epochs: self._read(file, columns) for epochs, columns in sorted(config.budgets.items())}
        self._durations = None if config.duration is None else file.numbers(config.duration)
        for name in config.known:
            if name not in config.metrics:
                raise PluginError(
                    f"'known' has '{name}', which is not in 'metrics'; there are {', '.join(config.metrics)}"
                )
        for epochs in config.budgets:
            if config.epochs is None or epochs >= config.epochs:
                raise PluginError(
                    f"'budgets' has {epochs} epochs, so 'epochs' must be there and more, but is {config.epochs}"
                )
        self.budget = Budget(config.epochs)

    def _index(self, file: File) -> dict[tuple[Any, ...], int]:
        rows: dict[tuple[Any, ...], int] = {}
        for index, row in enumerate(file.rows):
            key = self._key.of_row(row)
            if rows.setdefault(key, index) != index:
                raise PluginError(
                    f"the table {file.path} has {self._key.describe(key)} twice, in rows {rows[key] + 2} and {index + 2}; "
                    "a key identifies one row"
                )
        return rows

    @staticmethod
    def _read(file: File, metrics: Mapping[str, Columns]) -> dict[str, list[tuple[float, ...]]]:
        return {name: file.numbers(columns) for name, columns in metrics.items()}

    def _row(self, values: Mapping[str, Any]) -> int:
        key = self._key.of_values(values)
        try:
            return self._rows[key]
        except KeyError:
            message = f"the table {self._path} has no row with {self._key.describe(key)}"
            raise EvaluationError(Cause.INVALID, message) from None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics: those of the options `metrics` and `budgets`, and `duration_s` where there is a column of times."""
        names = [*self._full, *(name for columns in self._short.values() for name in columns)]
        return tuple(dict.fromkeys(names if self._durations is None else [*names, "duration_s"]))

    def known(self, candidate: Candidate) -> Metrics:
        """The metrics of the option `known`."""
        if not self._config.known:
            return {}
        try:
            row = self._row(candidate.values)
        except EvaluationError:
            return {}
        return {name: self._full[name][row][0] for name in self._config.known if self._full[name][row]}

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """Look the candidate up; reports what the table has after fewer epochs, before the result."""
        row = self._row(self._decisions.values(task.genotype))
        epochs = task.budget.epochs or self._config.epochs
        if epochs != self._config.epochs and epochs not in self._short:
            there = ", ".join(str(known) for known in [*self._short, self._config.epochs] if known is not None)
            raise EvaluationError(
                Cause.ERROR,
                f"the table {self._path} has no results after {epochs} epochs; "
                + (f"it has them after {there}" if there else "set 'epochs' to the number that it was recorded with"),
            )
        for step, columns in self._reports(epochs):
            yield Measurement(step, self._draw(columns, row, task.seed))
        metrics = self._draw(self._short.get(epochs or 0, self._full), row, task.seed)
        return metrics if self._durations is None else {**metrics, "duration_s": self.duration(task)}

    def _reports(self, epochs: int | None) -> Iterator[tuple[int, dict[str, list[tuple[float, ...]]]]]:
        return ((step, columns) for step, columns in self._short.items() if epochs is not None and step < epochs)

    def _draw(self, columns: Mapping[str, list[tuple[float, ...]]], row: int, seed: int) -> dict[str, float]:
        return {name: repeats[row][seed % len(repeats[row])] for name, repeats in columns.items() if repeats[row]}

    def duration(self, task: Task) -> float:
        """How many seconds the evaluation took when it was recorded, in proportion to the task's epochs; 0.0 where not recorded."""
        if self._durations is None:
            return 0.0
        recorded = self._durations[self._row(self._decisions.values(task.genotype))]
        share = (task.budget.epochs or 1) / (self._config.epochs or 1) if task.budget.epochs else 1.0
        return recorded[0] * self._config.duration_scale * share if recorded else 0.0


component = evaluator(Config, TableEvaluator)
