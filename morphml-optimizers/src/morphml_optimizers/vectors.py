"""Genotypes as points of a cube, for optimizers that calculate with them: what `differential_evolution`, `dehb` and `pso` share."""

from __future__ import annotations

import re

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.problem import Trial
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Domain

Vector = NDArray[np.float64]

_HELD, _OTHER = 0.75, 0.25  # as a `Subset` is encoded


class Vectors:
    """Points of the unit cube in which no value of a choice is nearer to one than to another.

    A choice of three or more values has a number for each, and the largest decides; everything else is as in `DecisionSpace.encode`.
    `owners[n]` is the index of the decision that number n of a vector belongs to.
    """

    def __init__(self, decisions: DecisionSpace) -> None:
        self._decisions = decisions
        domains = [decision.domain for decision in decisions.decisions]
        self._counts = [_numbers(domain) for domain in domains]
        self._places = [
            {value: place for place, value in enumerate(domain.values)}
            if isinstance(domain, Choice) and count > 1
            else {}
            for domain, count in zip(domains, self._counts, strict=True)
        ]
        self.owners = np.repeat(np.arange(len(domains)), self._counts)

    def decode(self, vector: Vector) -> Genotype:
        """The genotype of a vector; every vector has one."""
        numbers: list[float] = vector.tolist()
        units: list[float] = []
        at = 0
        for count, places in zip(self._counts, self._places, strict=True):
            part = numbers[at : at + count]
            at += count
            units += [(part.index(max(part)) + 0.5) / count] if places else part
        return self._decisions.decode(units)

    def encode(self, genotype: Genotype, rng: Generator) -> Vector:
        """A vector that decodes to the genotype; the numbers of inactive decisions are free, and drawn at random."""
        numbers: list[float] = []
        decisions = self._decisions.decisions
        for decision, slot, count, places in zip(decisions, genotype.slots, self._counts, self._places, strict=True):
            if slot is None:
                numbers += rng.random(count).tolist()
            elif places:
                start = len(numbers)
                numbers += [_OTHER] * count
                numbers[start + places[slot]] = _HELD  # type: ignore[index]  # a choice has no tuples
            else:
                numbers += decision.domain.encode(slot)
        return np.array(numbers)

    def crossed(self, target: Vector, mutant: Vector, rate: float, rng: Generator) -> Genotype:
        """The genotype of the target with each decision taken from the mutant with probability `rate`, and one of them surely (binomial crossover)."""
        decisions = len(self._decisions)
        chosen = rng.random(decisions) < rate
        chosen[int(rng.random() * decisions)] = True
        return self.decode(np.where(chosen[self.owners], mutant, target))


def _numbers(domain: Domain) -> int:
    return len(domain.values) if isinstance(domain, Choice) and len(domain.values) > 2 else domain.width


def reflected(vector: Vector) -> Vector:
    """The vector with what is less than 1 outside of the unit cube mirrored at its sides; what is further out comes to lie on them."""
    folded = np.abs(vector)
    mirrored: Vector = np.clip(np.where(folded > 1.0, 2.0 - folded, folded), 0.0, 1.0)
    return mirrored


def place_of(trial: Trial, note: str, places: int) -> int | None:
    """The number after `note` in the trial's origin; None where that is no place of so many."""
    found = re.match(note + r"(\d+)", trial.origin)
    place = int(found[1]) if found else places
    return place if place < places else None
