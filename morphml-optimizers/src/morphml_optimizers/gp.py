"""A small Gaussian process: an exponential kernel with one length a feature, fitted by gradient steps of the likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Groups = NDArray[np.intp]

_JITTER = 1e-8
_RATE = 0.2  # of Adam's steps, in units of the logarithm


@attrs.frozen(eq=False)
class Hyperparameters:
    """Logarithms: one inverse length a group of columns, then the noise variance."""

    values: Array

    @classmethod
    def start(cls, groups: int) -> Hyperparameters:
        """Where the fit begins, which is also the middle of the prior: all groups together have a length of about one."""
        return cls(np.append(np.full(groups, -math.log(max(groups, 1)) + 0.5), math.log(0.05)))

    @property
    def weights(self) -> Array:
        """The inverse lengths, shape (groups,)."""
        return np.exp(self.values[:-1])

    @property
    def noise(self) -> float:
        """The noise variance, for targets of variance about one."""
        return math.exp(self.values[-1])


def distances(first: Array, second: Array, groups: Groups, count: int) -> Array:
    """City-block distances by group of columns: shape (count, len(first), len(second))."""
    found = np.zeros((count, len(first), len(second)))
    for group in range(count):
        own = groups == group
        found[group] = cityblock(first[:, own], second[:, own])
    return found


def kernel(first: Array, second: Array, weights: Array) -> Array:
    """The exponential kernel of rows whose columns have these inverse lengths: shape (len(first), len(second))."""
    return np.exp(-cityblock(first * weights, second * weights))


def cityblock(first: Array, second: Array) -> Array:
    """City-block distances of rows: shape (len(first), len(second)).

    Where a column has no values but zero and one other, v, |a - b| is a + b - 2ab/v: all such columns together are a matrix product.
    """
    both = np.vstack([first, second])
    top = both.max(axis=0, initial=0.0)
    flags = ((both == 0.0) | (both == top)).all(axis=0) & (top > 0.0)
    left, right = first[:, flags], second[:, flags]
    found: Array = left.sum(axis=1)[:, None] + right.sum(axis=1)[None, :] - (left * (2.0 / top[flags])) @ right.T
    np.maximum(found, 0.0, out=found)
    for column in np.flatnonzero(~flags & (np.ptp(both, axis=0) > 0.0)):
        found += np.abs(first[:, column, None] - second[None, :, column])
    return found


def fit(rows: Array, targets: Array, groups: Groups, start: Hyperparameters, steps: int) -> Hyperparameters:
    """`start` after `steps` steps of Adam up the posterior (likelihood and a normal prior around the start of all fits)."""
    count = len(start.values) - 1
    apart = distances(rows, rows, groups, count)
    middle = Hyperparameters.start(count).values
    values, first, second = start.values.copy(), np.zeros(count + 1), np.zeros(count + 1)
    for step in range(1, steps + 1):
        gradient = _gradient(apart, targets, Hyperparameters(values)) - (values - middle) / 1.5**2
        first = 0.8 * first + 0.2 * gradient
        second = 0.95 * second + 0.05 * gradient**2
        values += _RATE * (first / (1 - 0.8**step)) / (np.sqrt(second / (1 - 0.95**step)) + 1e-9)
        values = np.clip(values, -7.0, 4.0)
    return Hyperparameters(values)


def _gradient(apart: Array, targets: Array, at: Hyperparameters) -> Array:
    weights = at.weights
    smooth = np.exp(-np.tensordot(weights, apart, 1))
    inverse = np.linalg.inv(smooth + (at.noise + _JITTER) * np.eye(len(targets)))
    alpha = inverse @ targets
    slope = 0.5 * (np.outer(alpha, alpha) - inverse)
    lengths = -weights * np.tensordot(apart, slope * smooth, ([1, 2], [0, 1]))
    return np.append(lengths, at.noise * np.trace(slope))


class Posterior:
    """What is believed after `targets` were seen at `rows`: both exact, by one Cholesky factor."""

    def __init__(self, rows: Array, targets: Array, groups: Groups, at: Hyperparameters) -> None:
        self._rows = rows
        self._columns = at.weights[groups]
        self._noise = at.noise
        smooth = kernel(rows, rows, self._columns)
        factor = np.linalg.cholesky(smooth + (at.noise + _JITTER) * np.eye(len(rows)))
        self._whiten: Array = np.linalg.inv(factor)
        self._alpha = self._whiten.T @ (self._whiten @ targets)
        self.best = float(np.min(smooth @ self._alpha))
        """The lowest posterior mean at the rows."""

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation without noise, each of shape (len(rows),)."""
        across = kernel(rows, self._rows, self._columns)
        white = across @ self._whiten.T
        return across @ self._alpha, np.sqrt(np.maximum(1.0 - (white**2).sum(axis=1), 1e-10))

    def draw(self, rows: Array, rng: np.random.Generator) -> Array:
        """One joint sample of the function at rows, shape (len(rows),)."""
        across = kernel(rows, self._rows, self._columns)
        white = across @ self._whiten.T
        covariance = kernel(rows, rows, self._columns) - white @ white.T + 1e-6 * np.eye(len(rows))
        sample: Array = across @ self._alpha + np.linalg.cholesky(covariance) @ rng.standard_normal(len(rows))
        return sample


def log_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """The logarithm of the expected improvement below `best`, also where it is far too small for a float (Ament et al., 2023)."""
    return np.array([_log_improvement(z) for z in ((best - mean) / deviation).tolist()]) + np.log(deviation)


def _log_improvement(z: float) -> float:
    density = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    if z < -6.0:
        return density - 2 * math.log(-z)
    return math.log(math.exp(density) + z * 0.5 * math.erfc(-z / math.sqrt(2)))


def half_rank(losses: Sequence[float]) -> Array:
    """Losses, infinite for those without, as targets: the better half keeps its distances, the worse half its order only.

    The second part of the warping of Vizier (Song et al., "The Vizier Gaussian Process Bandit Algorithm", 2024): a value worse than
    the median becomes the normal quantile of its rank.  The median becomes 0.0, and the better half has a root mean square of one.
    """
    found = np.asarray(losses, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    _, first, counts = np.unique(found[order], return_index=True, return_counts=True)
    ranks = np.empty(len(found))
    ranks[order] = np.repeat(first + (counts - 1) / 2, counts)
    targets = np.array([NormalDist().inv_cdf((rank + 0.5) / len(found)) for rank in ranks.tolist()])
    median = found[order[(len(found) - 1) // 2]]
    if not math.isfinite(median):
        return targets
    good = found <= median
    spread = math.sqrt(float(np.mean((found[good] - median) ** 2)))
    targets[good] = (found[good] - median) / spread if spread > 0 else 0.0
    return targets
