"""The distributions that `cma_es` draws from: those of the package `cmaes`, over the decisions of a space."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Domain, Integer, Subset

Vector = NDArray[np.float64]

_FINE = 1000  # an integer with more values is as good as a real


def package() -> Any:
    """The package `cmaes`.  Raises `ConfigurationError` where it is not installed."""
    try:
        import cmaes
    except ImportError:
        message = "the optimizer 'cma_es' needs cmaes, which is not installed; pip install 'morphml-optimizers[cmaes]'"
        raise ConfigurationError([Complaint("optimizer", message)]) from None
    return cmaes


class Points:
    """The numbers of `DecisionSpace.encode` that can vary.

    `free` are their indices, `owners` the indices of their decisions, `choices` whether these are choices, and `steps` how far the centres of
    neighbouring values are apart: 0 where the number is a real.  `unordered`: whether a choice has three or more values.
    """

    def __init__(self, decisions: DecisionSpace) -> None:
        self._decisions = decisions
        domains = [decision.domain for decision in decisions.decisions]
        widths = [domain.width for domain in domains]
        self.free: NDArray[np.int64] = np.flatnonzero(np.repeat([domain.size != 1 for domain in domains], widths))
        self.owners: NDArray[np.int64] = np.repeat(np.arange(len(domains)), widths)[self.free]
        self.steps: Vector = np.repeat([_step(domain) for domain in domains], widths)[self.free].astype(float)
        self.choices: NDArray[np.bool_] = np.array([isinstance(domain, Choice) for domain in domains])[self.owners]
        self.unordered: bool = any(isinstance(domain, Choice) and len(domain.values) > 2 for domain in domains)

    def decode(self, point: Vector) -> Genotype:
        """The genotype of a point."""
        vector = np.full(self._decisions.dimensions, 0.5)
        vector[self.free] = point
        return self._decisions.decode(vector)

    def encode(self, genotype: Genotype) -> Vector:
        """The point of a genotype; 0.5 where a decision is inactive."""
        point: Vector = self._decisions.encode(genotype)[self.free]
        return point

    def counts(self) -> NDArray[np.int64]:
        """How many values each number has; 0 for reals."""
        safe = np.where(self.steps > 0, self.steps, 1.0)
        counts: NDArray[np.int64] = np.where(self.steps > 0, np.rint(1 / safe), 0).astype(np.int64)
        return counts

    def kept(self, genotype: Genotype, other: Genotype) -> NDArray[np.bool_]:
        """Whose decisions are the same in both, or inactive in the second."""
        pairs = zip(genotype.slots, other.slots, strict=True)
        return np.array([new is None or new == old for old, new in pairs])[self.owners]


def _step(domain: Domain) -> float:
    if isinstance(domain, Subset):
        return 0.5
    fine = isinstance(domain, Integer) and (domain.log or domain.size > _FINE)
    return 1 / domain.size if isinstance(domain, Choice | Integer) and not fine else 0.0


class Law(ABC):
    """A distribution over points, that learns from their order."""

    def __init__(self, points: Points, model: Any) -> None:
        self._points = points
        self._model = model

    def copied(self) -> Law:
        """A copy that learns nothing from what this one learns."""
        other = copy.copy(self)
        other._model = copy.deepcopy(self._model)
        return other

    def draw(self, seed: int) -> tuple[Genotype, Any]:
        """The genotype that a seed draws, and the solution as the distribution wants to be told it."""
        self._model.reseed_rng(seed)
        return self._read(self._model.ask())

    @abstractmethod
    def _read(self, asked: Any) -> tuple[Genotype, Any]: ...

    @abstractmethod
    def settled(self, drawn: tuple[Genotype, Any], genotype: Genotype) -> Any:
        """The solution that was drawn, with the decisions that are others in the genotype moved to the nearest numbers that mean those."""

    def learn(self, solutions: list[Any]) -> bool:
        """Learn from a generation, best first.  Returns whether the distribution has collapsed since."""
        try:
            with np.errstate(all="ignore"):
                self._model.tell([(solution, float(rank)) for rank, solution in enumerate(solutions)])
                return self._collapsed()
        except np.linalg.LinAlgError:
            return True

    @abstractmethod
    def _collapsed(self) -> bool: ...


class Ordered(Law):
    """CMA-ES with margin (Hamano et al., 2022): a normal distribution over all numbers, discrete ones in their order."""

    def __init__(self, points: Points, mean: Vector | None, sigma: float, population: int) -> None:
        bounds = np.array([points.steps / 2, 1 - points.steps / 2]).T
        inside = np.clip(np.full(len(bounds), 0.5) if mean is None else mean, bounds[:, 0], bounds[:, 1])
        model = package().CMAwM(inside, sigma, bounds, points.steps, population_size=population, seed=0)
        super().__init__(points, model)

    def _read(self, asked: Any) -> tuple[Genotype, Any]:
        evaluated, told = asked
        return self._points.decode(evaluated), told

    def settled(self, drawn: tuple[Genotype, Any], genotype: Genotype) -> Any:
        """The numbers that were drawn, with changed decisions moved."""
        if drawn[0] == genotype:
            return drawn[1]
        centre, half = self._points.encode(genotype), self._points.steps / 2
        return np.where(
            self._points.kept(drawn[0], genotype), drawn[1], np.clip(drawn[1], centre - half, centre + half)
        )

    def _collapsed(self) -> bool:
        return not np.isfinite(self._model.mean).all() or bool(self._model.should_stop())


class Mixed(Law):
    """CatCMA with margin (Hamano et al., 2025): beside such a distribution, the shares of the values of each choice, which have no order.

    Whatever has two values is a choice, too.
    """

    def __init__(self, points: Points, mean: Vector | None, sigma: float, population: int) -> None:
        self._counts = points.counts()
        chosen = points.choices | (self._counts == 2)
        self._chosen = np.flatnonzero(chosen)
        self._reals = np.flatnonzero(self._counts == 0)
        self._whole = np.flatnonzero(~chosen & (self._counts > 0))
        super().__init__(points, self._made(mean, sigma, population))

    def _made(self, mean: Vector | None, sigma: float, population: int) -> Any:
        whole, chosen = self._counts[self._whole], self._counts[self._chosen]
        start = np.full(len(self._counts), 0.5) if mean is None else mean
        places = np.clip(start[self._whole] * whole - 0.5, 0.0, whole - 1.0)
        return package().CatCMAwM(
            x_space=[[0.0, 1.0]] * len(self._reals) or None,
            z_space=[list(range(count)) for count in whole.tolist()] or None,
            c_space=chosen.tolist() or None,
            population_size=population,
            mean=np.concatenate([start[self._reals], places]),
            sigma=1.0,
            cov=np.diag(np.concatenate([np.full(len(self._reals), sigma), sigma * whole]) ** 2),
            cat_param=self._shares(None if mean is None else mean[self._chosen]),
            seed=0,
        )

    def _shares(self, mean: Vector | None) -> Vector:
        """The share of each value of each choice: even, or half of them for the values of the mean."""
        counts = self._counts[self._chosen]
        shares = np.where(np.arange(counts.max()) < counts[:, None], 1 / counts[:, None], 0.0)
        if mean is not None:
            shares = shares / 2
            shares[np.arange(len(counts)), _place(mean, counts)] += 0.5
        return shares

    def _read(self, asked: Any) -> tuple[Genotype, Any]:
        point = np.empty(len(self._counts))
        if len(self._reals):
            point[self._reals] = asked.x
        if len(self._whole):
            point[self._whole] = (asked.z + 0.5) / self._counts[self._whole]
        point[self._chosen] = (np.argmax(asked.c, axis=1) + 0.5) / self._counts[self._chosen]
        return self._points.decode(point), asked

    def settled(self, drawn: tuple[Genotype, Any], genotype: Genotype) -> Any:
        """The solution that was drawn, with changed choices as they are now."""
        if drawn[0] == genotype:
            return drawn[1]
        kept, centre, old = self._points.kept(drawn[0], genotype), self._points.encode(genotype), drawn[1]
        held = np.zeros(old.c.shape)
        held[np.arange(len(held)), _place(centre[self._chosen], self._counts[self._chosen])] = 1.0
        raw = old._v_raw
        if raw is not None:
            counts = self._counts[self._whole]
            places = _place(centre[self._whole], counts)
            numbers = np.concatenate([self._reals, self._whole])
            low = np.concatenate([centre[self._reals], places - 0.5])
            raw = np.where(kept[numbers], raw, np.clip(raw, low, np.concatenate([centre[self._reals], places + 0.5])))
        return type(old)(old.x, old.z, np.where(kept[self._chosen, None], old.c, held), raw)

    def _collapsed(self) -> bool:
        if len(self._chosen) == len(self._counts):
            return False
        # In small spaces cmaes can divide zero by zero; what it draws then is no number.
        return not np.isfinite(self._model.ask()._v_raw).all() or bool(self._model.should_stop())


def _place(numbers: Vector, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of the value that a number stands for."""
    return np.minimum((numbers * counts).astype(np.int64), counts - 1)


def law(points: Points, mean: Vector | None, sigma: float, population: int) -> Law:
    """A distribution around a point, or around the middle: `Mixed` where there is a choice of three or more values."""
    return (Mixed if points.unordered else Ordered)(points, mean, sigma, population)
