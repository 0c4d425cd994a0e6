"""Genotypes as rows of numbers for models: the decisions, and what the effective graph looks like."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import GraphError, SpaceError
from morphml_core.graph.effective import view_of
from morphml_core.problem import Problem
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Slot

Array = NDArray[np.float64]

_SIZES = frozenset({"channels", "units"})  # parameters that follow from the place in the network, not from a decision


class DecisionFeatures:
    """Columns in which the city-block distance means something, grouped by decision.

    A choice has a column a value, so that any two differ by 1.0; numbers lie in [0, 1] (on their own scale, which may be logarithmic); a
    subset has a share for each value.  An inactive slot has a column of its own that is far from every value.
    """

    def __init__(self, decisions: DecisionSpace) -> None:
        self._decisions = decisions
        widths = [decision.domain.size if isinstance(decision.domain, Choice) else decision.domain.width
                  for decision in decisions.decisions]  # fmt: skip
        self.groups = np.repeat(np.arange(len(widths)), [(width or 1) + 1 for width in widths])
        self._widths = [width or 1 for width in widths]
        self._known: list[dict[Slot, list[float]]] = [{} for _ in widths]
        """The columns of the values of each decision, where they are few."""
        for known, width, decision in zip(self._known, self._widths, decisions.decisions, strict=True):
            known[None] = [0.0] * width + [0.5]
            if isinstance(decision.domain, Choice):
                for place, value in enumerate(decision.domain.values):
                    known[value] = [0.5 if other == place else 0.0 for other in range(width)] + [0.0]

    def rows(self, genotypes: Sequence[Genotype]) -> Array:
        """Shape (genotypes, columns)."""
        return np.array([self._row(genotype) for genotype in genotypes])

    def _row(self, genotype: Genotype) -> list[float]:
        row: list[float] = []
        for index, slot in enumerate(genotype.slots):
            columns = self._known[index].get(slot)
            row += self._measured(index, slot) if columns is None else columns
        return row

    def _measured(self, index: int, slot: Slot) -> list[float]:
        """The columns of a number or a subset."""
        width = self._widths[index]
        return [*(unit / width for unit in self._decisions.decisions[index].domain.encode(slot)), 0.0]


class GraphFeatures:
    """Numbers about effective graphs: how often each operation is there, how many paths, how long they are.

    Each is remembered by genotype; genotypes that make no network have no counts at all.
    """

    def __init__(self, problem: Problem, most: int = 20_000) -> None:
        self._problem = problem
        self._most = most
        self._counts: dict[Genotype, Counter[str]] = {}

    def counts(self, genotype: Genotype) -> Counter[str]:
        """The numbers of one genotype by name."""
        found = self._counts.get(genotype)
        if found is None:
            if len(self._counts) >= self._most:
                self._counts.clear()
            found = self._counts[genotype] = self._count(genotype)
        return found

    def _count(self, genotype: Genotype) -> Counter[str]:
        found: Counter[str] = Counter()
        try:
            graph = self._problem.candidate(genotype).graph
        except (GraphError, SpaceError):
            return found
        if graph is None:
            return found
        seen = view_of(graph, 1)
        for node in graph.nodes:
            named = [f"{name}={value}" for name, value in node.params if name not in _SIZES]
            found[" ".join([node.op, *named])] += 1
        # Paths multiply from cell to cell: their logarithm grows as the other numbers do.
        found["paths"] = round(1000 * math.log(max(seen.paths, 1)))
        found["shortest"], found["longest"], found["depth"] = seen.shortest, seen.longest, seen.depth
        return found

    def rows(self, genotypes: Sequence[Genotype], names: Sequence[str]) -> Array:
        """Shape (genotypes, names)."""
        counted = [self.counts(genotype) for genotype in genotypes]
        return np.array([[float(found[name]) for name in names] for found in counted]).reshape(len(counted), len(names))

    def names(self, genotypes: Sequence[Genotype]) -> list[str]:
        """The names of all numbers of these genotypes."""
        return sorted(set().union(*(self.counts(genotype) for genotype in genotypes)))
