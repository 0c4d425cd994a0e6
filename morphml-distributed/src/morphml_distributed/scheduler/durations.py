"""How long tasks take on which worker, learnt while they run."""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 1e-3, 1e7
"""Durations in seconds are taken to lie between these."""
LEAST, MOST = math.log(SHORTEST), math.log(LONGEST)
ASSUMED = (0.0, 1.0, 1.0)
RIDGE = 0.1
"""How much a coefficient is held at what is assumed without data: the variance of the noise by the variance of coefficients."""
MEMORY = 200, 30
"""The weight of an observation fades within so many others, and so many more for each worker."""
BATCH = 256
"""So many observations are added to the sums at once."""
NOTICED = 0.1
"""A change of the predictions by less than a tenth is none."""


@attrs.frozen
class Predictions:
    """What is believed at one time: log seconds of a task on an average worker, and by how much each worker differs from that.

    `coefficients`: of 1, log epochs, log share of the data, and each further feature.  Without data a task takes as long as the
    first two of these say.
    """

    coefficients: tuple[float, ...] = ASSUMED
    paces: Mapping[str, float] = attrs.field(factory=dict)

    def work(self, features: Sequence[float]) -> float:
        """Log seconds of a task on an average worker."""
        found: float = sum(map(operator.mul, self.coefficients, _columns(features)))
        return min(max(found, LEAST), MOST)

    def works(self, features: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """`work` of each, all of them at once."""
        table = _table(features)
        used = min(table.shape[1], len(self.coefficients))
        found: NDArray[np.float64] = table[:, :used] @ np.array(self.coefficients[:used])
        return np.clip(found, LEAST, MOST)

    def pace(self, worker: str) -> float:
        """Log of how many times longer than an average worker this one takes; 0 for one that is not known."""
        return self.paces.get(worker, 0.0)


class Durations:
    """Ridge regression of log seconds on the features of the task and on the worker, in which old observations fade.

    log seconds = log epochs + log share of the data + features . coefficients + pace of the worker.  What is stored are the sums of the
    normal equations, so that an observation costs the square of the number of features, whatever was observed before; weights grow by
    a factor instead of all sums shrinking.  The paces are eliminated by the Schur complement of their diagonal block, which makes
    a solution linear in the number of workers.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._weight = self._fading = 1.0
        self._sums: _Sums | None = None
        self._new: list[tuple[Sequence[float], int, float, float]] = []
        self._recent: deque[Sequence[float]] = deque(maxlen=64)

    def learn(self, features: Sequence[float], worker: str, seconds: float) -> None:
        """One observation.  Durations that are no numbers are not listened to."""
        if math.isnan(seconds):
            return
        rows = self._rows
        row = rows.get(worker)
        if row is None:
            row = rows[worker] = len(rows)
            self._fading = 1 - 1 / (MEMORY[0] + MEMORY[1] * len(rows))
        within = SHORTEST if seconds < SHORTEST else LONGEST if seconds > LONGEST else seconds
        self._new.append((features, row, math.log(within), self._weight))
        self._weight /= self._fading
        self._recent.append(features)
        if len(self._new) >= BATCH:
            self._add()

    def _add(self) -> None:
        """Add what is new to the sums, all of it at once: that takes a tenth of the time."""
        table = _table([features for features, _, _, _ in self._new])
        sums = self._sums = self._sums or _Sums.of(table.shape[1])
        x = np.zeros((len(table), len(sums.b)))
        used = min(x.shape[1], table.shape[1])
        x[:, :used] = table[:, :used]
        targets = np.array([target for _, _, target, _ in self._new]) - x[:, 1:3].sum(axis=1)
        sums.reserve(len(self._rows))
        sums.add(x, [row for _, row, _, _ in self._new], targets, np.array([weight for _, _, _, weight in self._new]))
        self._new.clear()
        if self._weight > 1e6:
            sums.scale(1 / self._weight)
            self._weight = 1.0

    def predictions(self) -> Predictions:
        """What the observations say now."""
        if self._new:
            self._add()
        if self._sums is None:
            return Predictions()
        coefficients, paces = self._sums.solve(RIDGE * self._weight)
        coefficients[1:3] += 1.0  # what is assumed
        return Predictions(tuple(coefficients.tolist()), {name: float(paces[row]) for name, row in self._rows.items()})

    def differ(self, old: Predictions, new: Predictions) -> bool:
        """Whether recent tasks, or the workers, would be told apart otherwise: a change that is the same for all is none."""
        works = [new.work(features) - old.work(features) for features in self._recent]
        paces = [pace - old.pace(name) for name, pace in new.paces.items()]
        return any(len(changes) > 1 and float(np.std(changes)) > NOTICED for changes in (works, paces))


@attrs.define
class _Sums:
    """Weighted sums over observations, of features x (d), targets y: a: xx (d, d), b: xy (d), and by worker s: x (w, d), y, n (w)."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    s: NDArray[np.float64]
    y: NDArray[np.float64]
    n: NDArray[np.float64]

    @classmethod
    def of(cls, size: int, workers: int = 8) -> _Sums:
        return cls(
            np.zeros((size, size)), np.zeros(size), np.zeros((workers, size)), np.zeros(workers), np.zeros(workers)
        )

    def reserve(self, workers: int) -> None:
        if workers > len(self.n):
            more = max(len(self.n), workers - len(self.n))
            self.s = np.concatenate([self.s, np.zeros((more, len(self.b)))])
            self.y, self.n = (np.concatenate([each, np.zeros(more)]) for each in (self.y, self.n))

    def add(
        self,
        x: NDArray[np.float64],
        rows: Sequence[int],
        targets: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> None:
        weighted = weights[:, None] * x
        self.a += weighted.T @ x
        self.b += weighted.T @ targets
        np.add.at(self.s, rows, weighted)
        np.add.at(self.y, rows, weights * targets)
        np.add.at(self.n, rows, weights)

    def scale(self, factor: float) -> None:
        for each in (self.a, self.b, self.s, self.y, self.n):
            each *= factor

    def solve(self, ridge: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        held = np.full(len(self.b), ridge)
        held[0] = ridge * 1e-3  # the mean of all: nothing is assumed of it
        shrunk = self.s / (self.n + ridge)[:, None]
        left, right = self.a - self.s.T @ shrunk + np.diag(held), self.b - shrunk.T @ self.y
        coefficients = np.asarray(np.linalg.solve(left, right), dtype=np.float64)
        return coefficients, (self.y - self.s @ coefficients) / (self.n + ridge)


def _table(features: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """`_columns` of each, all of them at once where they are of one length; else the shorter ones end in zeros."""
    if len({len(each) for each in features}) > 1 or len(features[0]) < 2:
        columns = [_columns(each) for each in features]
        most = max(map(len, columns))
        return np.array([(*each, *(0.0,) * (most - len(each))) for each in columns])
    table = np.ones((len(features), 1 + len(features[0])))
    table[:, 1:] = features
    np.log(np.maximum(table[:, 1:3], SHORTEST), out=table[:, 1:3])
    return table


def _columns(features: Sequence[float]) -> tuple[float, ...]:
    if len(features) < 2:
        return (1.0, *(math.log(max(value, SHORTEST)) for value in features))
    epochs, share, *others = features
    return (1.0, math.log(max(epochs, SHORTEST)), math.log(max(share, SHORTEST)), *others)
