"""Genotypes as rows of numbers for models: the decisions, and what the effective graph looks like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from morphml_core.graph.effective import EffectiveView
from morphml_core.problem import Problem
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Slot

Array = NDArray[np.float64]

_MEASURED = 2048  # of so many numbers and subsets of a decision the columns are kept


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
        """The columns of the values of each decision: of choices all, of others those that were asked for last."""
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
        for index, (known, slot) in enumerate(zip(self._known, genotype.slots, strict=True)):
            row += known.get(slot) or self._measured(index, slot)
        return row

    def _measured(self, index: int, slot: Slot) -> list[float]:
        """The columns of a number or a subset.  They are kept for a while: most candidates differ from others in one decision."""
        width, known = self._widths[index], self._known[index]
        if len(known) > _MEASURED:
            inactive = known[None]
            known.clear()
            known[None] = inactive
        known[slot] = [*(unit / width for unit in self._decisions.decisions[index].domain.encode(slot)), 0.0]
        return known[slot]


class GraphFeatures:
    """Numbers about effective graphs by name, in three kinds, each remembered by genotype.

    `numbers`: how often each operation is there (`conv kernel=1`), how many paths (the logarithm), how long they are, depth and width.
    `pairs`: how often one operation reads another (`relu > conv kernel=1`).  `paths`: how often the path of these operations leads from input
    to output (`conv, relu`).  Genotypes that make no network have no numbers at all.
    """

    def __init__(self, problem: Problem, most: int = 8192) -> None:
        self._problem = problem
        self._most = most
        self._seen: dict[Genotype, Kinds] = {}

    def of(self, genotype: Genotype) -> Kinds:
        """The numbers of one genotype: kind by name by value."""
        found = self._seen.get(genotype)
        if found is None:
            if len(self._seen) >= self._most:
                self._seen.clear()
            seen = self._problem.view(genotype)
            found = self._seen[genotype] = _NOTHING if seen is None else _kinds(seen)
        return found


Kinds = Mapping[str, Mapping[str, float]]
"""`numbers`, `pairs` and `paths`, each with its values by name."""

_NOTHING: Kinds = {"numbers": {}, "pairs": {}, "paths": {}}


def _kinds(seen: EffectiveView) -> Kinds:
    shape = {
        "paths": math.log(max(seen.paths, 1)), "shortest": seen.shortest, "longest": seen.longest,
        "mean length": seen.mean_length, "depth": seen.depth, "width": seen.width,
    }  # fmt: skip
    pairs = {" > ".join(pair): float(count) for pair, count in seen.pairs.items()}
    paths = {", ".join(path): float(count) for path, count in (seen.bag or {}).items()}
    return {
        "numbers": {**{f"number of {op}": count for op, count in seen.operations.items()}, **shape},
        "pairs": pairs,
        "paths": paths,
    }


class GraphColumns:
    """Columns for numbers about graphs, in units in which the differences between the first genotypes are about one.

    Each of the `numbers` of the first genotypes has a column of its own and a group of its own; all `pairs` are one group, all
    `paths` another, with a column for each name that the genotypes to learn from have, and one for the sum of all others.  There are no
    columns where the space has no graphs.
    """

    def __init__(self, features: GraphFeatures, first: Sequence[Genotype]) -> None:
        self._features = features
        kinds = [features.of(genotype) for genotype in first]
        self._own = _varied([kind["numbers"] for kind in kinds])
        self._units = {name: _deviation([kind[name] for kind in kinds]) for name in ("pairs", "paths")}
        self.groups = len(self._own) + 2 if self._own else 0
        """How many groups of columns there are."""

    def rows(self, learnt: Sequence[Genotype], others: Sequence[Genotype]) -> tuple[Array, NDArray[np.intp]]:
        """The columns of both, in that order, and the group of each column."""
        kinds = [self._features.of(genotype) for genotype in (*learnt, *others)]
        if not self._own:
            return np.empty((len(kinds), 0)), np.empty(0, dtype=np.intp)
        own = np.array([[kind["numbers"].get(name, 0.0) / unit for name, unit in self._own.items()] for kind in kinds])
        blocks, groups = [own], list(range(len(self._own)))
        for place, name in enumerate(("pairs", "paths")):
            block = _block([kind[name] for kind in kinds], len(learnt)) / self._units[name]
            blocks.append(block)
            groups += [len(self._own) + place] * block.shape[1]
        return np.hstack(blocks), np.array(groups, dtype=np.intp)


def _varied(counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The range of each number that is not the same everywhere, at least 1.0 so that a rare change is no large one."""
    names = sorted(set[str]().union(*counts))
    ranges = {name: _range([count.get(name, 0.0) for count in counts]) for name in names}
    return {name: max(found, 1.0) for name, found in ranges.items() if found > 0}


def _range(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _deviation(counts: Sequence[Mapping[str, float]]) -> float:
    """The mean city-block distance of some counts from their mean, at least 1.0."""
    block = _block(counts, len(counts))
    return max(float(np.abs(block - block.mean(axis=0)).sum(axis=1).mean()), 1.0)


def _block(counts: Sequence[Mapping[str, float]], learnt: int) -> Array:
    """A column for each name that the first `learnt` have not all equally often, and one for the sum of those that only others have."""
    names = sorted(set[str]().union(*counts[:learnt]))
    place = {name: index for index, name in enumerate(names)}
    block = np.zeros((len(counts), len(names) + 1))
    for row, count in zip(block, counts, strict=True):
        for name, value in count.items():
            row[place.get(name, -1)] += value
    kept = np.ptp(block, axis=0) > 0
    kept[-1:] = True
    found: Array = block[:, kept]
    return found
