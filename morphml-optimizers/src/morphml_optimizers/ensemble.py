"""An ensemble of small networks, in numpy: what they disagree about is what is not known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from morphml_core.space.decisions import Genotype
from morphml_optimizers.features import DecisionFeatures, GraphFeatures
from morphml_optimizers.threads import one_thread

Array = NDArray[np.float64]
Arrays = list[NDArray[np.float32]]

_RATE = 0.01  # of Adam's first step; it falls to zero linearly
_BATCH = 64
_RARE = 0.05  # paths of a smaller share of the networks have no column


class Encoding:
    """Genotypes as rows: the decisions and, where there are graphs, the numbers about them and whether each path is there.

    Paths are those of White, Neiswanger and Savani ("BANANAS", 2021) over the effective graph.  Those that are in many of the `learnt` genotypes have a column,
    at most `paths` of them.
    """

    def __init__(
        self, decisions: DecisionFeatures, graphs: GraphFeatures, learnt: Sequence[Genotype], paths: int = 64
    ) -> None:
        self._decisions = decisions
        self._graphs = graphs
        kinds = [graphs.of(genotype) for genotype in learnt]
        self._numbers = sorted(set[str]().union(*(kind["numbers"] for kind in kinds)))
        found = Counter(name for kind in kinds for name in kind["paths"])
        least = _RARE * len(learnt)
        often = sorted((-count, name) for name, count in found.items() if least < count < len(learnt))
        self._paths = [name for _, name in often[:paths]]

    def rows(self, genotypes: Sequence[Genotype]) -> Array:
        """Shape (genotypes, columns)."""
        rows = self._decisions.rows(genotypes)
        if not self._numbers:
            return rows
        kinds = [self._graphs.of(genotype) for genotype in genotypes]
        numbers = [[kind["numbers"].get(name, 0.0) for name in self._numbers] for kind in kinds]
        paths = [[float(name in kind["paths"]) for name in self._paths] for kind in kinds]
        return np.hstack([rows, np.array(numbers), np.array(paths).reshape(len(kinds), len(self._paths))])


class Ensemble:
    """Networks of two hidden layers, alike but for where they start and the order of what they see."""

    def __init__(self, networks: int = 5, width: int = 32, steps: int = 100) -> None:
        self._networks, self._width, self._steps = networks, width, steps

    def fit(self, rows: Array, targets: Array, rng: np.random.Generator) -> Ensemble:
        """Train all networks from new on rows (n, columns) and targets (n,).  Returns itself."""
        self._middle, self._scale = rows.mean(axis=0), _deviation(rows)
        self._target, self._spread = float(targets.mean()), float(_deviation(targets))
        inputs = self._inputs(rows)
        wanted = ((targets - self._target) / self._spread).astype(np.float32)
        self._parameters = self._start(rows.shape[1], rng)
        adam = _Adam(self._parameters)
        with one_thread():
            for step in range(self._steps):
                drawn = rng.integers(len(rows), size=(self._networks, min(_BATCH, len(rows))))
                slopes = _slopes(self._parameters, inputs[drawn], wanted[drawn][..., np.newaxis])
                adam.step(slopes, _RATE * (1 - step / self._steps))
        return self

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of what the networks say, each of shape (len(rows),)."""
        with one_thread():
            said = _layers(self._parameters, self._inputs(rows))[-1][..., 0] * self._spread + self._target
        return said.mean(axis=0, dtype=np.float64), said.std(axis=0, ddof=1, dtype=np.float64)

    def _inputs(self, rows: Array) -> NDArray[np.float32]:
        inputs: NDArray[np.float32] = ((rows - self._middle) / self._scale).astype(np.float32)
        return inputs

    def _start(self, columns: int, rng: np.random.Generator) -> Arrays:
        parameters: Arrays = []
        for before, after in pairwise((columns, self._width, self._width, 1)):
            weights = rng.standard_normal((self._networks, before, after)) * math.sqrt(2 / before)
            parameters += [weights.astype(np.float32), np.zeros((self._networks, 1, after), dtype=np.float32)]
        return parameters


class _Adam:
    """Steps of Adam (Kingma and Ba, 2015), in place."""

    def __init__(self, parameters: Arrays) -> None:
        self._parameters = parameters
        self._first = [np.zeros_like(values) for values in parameters]
        self._second = [np.zeros_like(values) for values in parameters]
        self._steps = 0

    def step(self, slopes: Arrays, rate: float) -> None:
        self._steps += 1
        rate *= math.sqrt(1 - 0.99**self._steps) / (1 - 0.9**self._steps)
        for values, slope, first, second in zip(self._parameters, slopes, self._first, self._second, strict=True):
            first += 0.1 * (slope - first)
            second += 0.01 * (slope * slope - second)
            values -= rate * first / (np.sqrt(second) + 1e-7)


def _layers(parameters: Arrays, inputs: NDArray[np.float32]) -> Arrays:
    """What each layer gives, for inputs (rows, columns) or (networks, rows, columns); relu between."""
    found: Arrays = []
    for place in range(0, len(parameters), 2):
        inputs = inputs @ parameters[place] + parameters[place + 1]
        if place + 2 < len(parameters):
            inputs = np.maximum(inputs, 0)
        found.append(inputs)
    return found


def _slopes(parameters: Arrays, inputs: NDArray[np.float32], wanted: NDArray[np.float32]) -> Arrays:
    """The gradient of half the mean squared error of each network."""
    given = [inputs, *_layers(parameters, inputs)]
    slope = (given[-1] - wanted) / wanted.shape[1]
    found: Arrays = []
    for place in range(len(parameters) - 2, -1, -2):
        before = given[place // 2]
        found = [before.transpose(0, 2, 1) @ slope, slope.sum(axis=1, keepdims=True), *found]
        slope = (slope @ parameters[place].transpose(0, 2, 1)) * (before > 0)
    return found


def _deviation(values: Array) -> Array:
    deviation: Array = values.std(axis=0)
    return np.where(deviation > 1e-9, deviation, 1.0)
