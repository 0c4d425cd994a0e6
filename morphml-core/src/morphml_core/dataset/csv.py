"""Dataset `csv`: a table with a target column, for classification or regression.

Columns of numbers are features as they are; any other column is categorical, and `categorical` says what becomes of
it.  The features are the number columns in the file's order, then the categories of each other column, sorted.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.dataset.checks import encode, existing, fraction, refuse, shares, sound
from morphml_core.plugins import component as kinds
from morphml_core.protocols import Data
from morphml_core.splits import three_way

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
"""What stands for a missing value, in any case."""


@attrs.frozen
class Config:
    """Options of the dataset `csv`."""

    path: Path
    """The file; .gz is decompressed."""
    target: str | int = -1
    """The column to predict: its name, or its place from 0 (negative: from the end)."""
    header: bool = True
    """Whether the first row names the columns; without, they are named 0, 1, 2 ..."""
    delimiter: str = ","
    """What stands between two values."""
    ignore: tuple[str, ...] = ()
    """Columns that are no features, such as an identifier."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """What the target is; `auto`: classes where it has words or at most 20 different whole numbers, otherwise a number."""
    categorical: Literal["one_hot", "drop", "error"] = "one_hot"
    """What becomes of a column that is not all numbers: a 0/1 feature a category, nothing, or an error."""
    max_categories: int = 50
    """A categorical column with more different values is an error: it is probably an identifier."""
    missing: Literal["error", "drop"] = "error"
    """What becomes of a row with a missing value (empty, NA, NaN, null, none, ?): an error, or nothing."""
    valid: float = attrs.field(default=0.15, validator=fraction)
    """Share of the rows to validate on, which guides the search."""
    test: float = attrs.field(default=0.15, validator=fraction)
    """Share of the rows to test on, which the search never sees."""
    seed: int = 0
    """Seed of the split."""

    def __attrs_post_init__(self) -> None:
        shares(self)
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter is one character, but got {self.delimiter!r}")


class Csv:
    """The rows of one table."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def load(self) -> Data:
        """The rows: features (n, columns) float32, and classes or (n, 1) float32."""
        config = self._config
        names, rows = self._table()
        target = self._place(names)
        columns = list(zip(*rows, strict=True))
        targets, classes = self._targets(columns[target], names[target])
        skipped = {target, *self._ignored(names)}
        features = [self._feature(columns[i], name) for i, name in enumerate(names) if i not in skipped]
        ordered = [column for column in features if column.shape[1] == 1] + [c for c in features if c.shape[1] != 1]
        if not sum(column.shape[1] for column in ordered):
            raise refuse(f"{config.path} has no feature beside the target '{names[target]}'")
        split = sound(np.concatenate(ordered, axis=1), targets, str(config.path))
        outputs = len(classes) if classes else 1
        return three_way(split, config.valid, config.test, config.seed, outputs, classes, not classes)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        config = self._config
        rows = [[value.strip() for value in row] for row in self._rows() if row]
        names = rows.pop(0) if config.header and rows else [str(place) for place in range(len(rows[0]) if rows else 0)]
        if not rows:
            raise refuse(f"{config.path} has no rows of data")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise refuse(f"{config.path} has two columns named '{twice}'; name each column once")
        kept = []
        for number, row in enumerate(rows, start=2 if config.header else 1):
            if len(row) != len(names):
                raise refuse(f"row {number} of {config.path} has {len(row)} values, but there are {len(names)} columns")
            pairs = zip(names, row, strict=True)
            empty = next(
                (name for name, value in pairs if value.lower() in MISSING and name not in config.ignore), None
            )
            if empty is None:
                kept.append(row)
            elif config.missing == "error":
                raise refuse(
                    f"row {number} of {config.path} has no value in the column '{empty}'; fill it in, or set missing: drop"
                )
        if not kept:
            raise refuse(f"every row of {config.path} has a missing value")
        return names, kept

    def _rows(self) -> list[list[str]]:
        config = self._config
        content = existing(config.path, "the file", "name a CSV file in the option 'path'")
        try:
            raw = content.read_bytes()
            text = (gzip.decompress(raw) if config.path.suffix == ".gz" else raw).decode("utf-8-sig")
            return list(csv.reader(io.StringIO(text, newline=""), delimiter=config.delimiter, strict=True))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            raise refuse(f"{config.path} cannot be read as CSV: {error}") from error

    def _place(self, names: Sequence[str]) -> int:
        target = self._config.target
        if isinstance(target, str) and target in names:
            return names.index(target)
        if isinstance(target, int) and -len(names) <= target < len(names):
            return target % len(names)
        raise refuse(f"{self._config.path} has no column '{target}' to predict; it has {', '.join(names)}")

    def _ignored(self, names: Sequence[str]) -> list[int]:
        for name in self._config.ignore:
            if name not in names:
                raise refuse(f"{self._config.path} has no column '{name}' to ignore; it has {', '.join(names)}")
        return [names.index(name) for name in self._config.ignore]

    def _targets(self, column: Sequence[str], name: str) -> tuple[NDArray[Any], tuple[str, ...]]:
        numbers, task = _numbers(column), self._config.task
        if task == "auto":
            whole = numbers is not None and bool(np.all(numbers == np.rint(numbers)))
            few = whole and len(set(column)) <= 20
            task = "classification" if numbers is None or few else "regression"
        if task == "regression":
            if numbers is None:
                raise refuse(f"the target '{name}' of {self._config.path} is not all numbers; regression needs numbers")
            return numbers, ()
        values = np.asarray(column) if numbers is None else numbers
        classes = np.unique(values).tolist()
        return encode(values, classes, f"the column '{name}'"), tuple(_label(value) for value in classes)

    def _feature(self, column: Sequence[str], name: str) -> NDArray[Any]:
        numbers, config = _numbers(column), self._config
        if numbers is not None:
            return numbers[:, None]
        if config.categorical == "drop":
            return np.empty((len(column), 0))
        if config.categorical == "error":
            raise refuse(f"the column '{name}' of {config.path} is not all numbers; set categorical: one_hot or drop")
        values, places = np.unique(np.asarray(column), return_inverse=True)
        if len(values) > config.max_categories:
            raise refuse(
                f"the column '{name}' of {config.path} has {len(values)} categories, more than max_categories: "
                f"{config.max_categories}; name it in 'ignore', or raise max_categories"
            )
        return np.eye(len(values))[places]


def _numbers(column: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(value) for value in column])
    except ValueError:
        return None


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


component = kinds.dataset(Config, Csv)
