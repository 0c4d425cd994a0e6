"""`SearchSpace`: decisions, and a function that turns their values into a graph."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, TypeAlias

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Graph
from morphml_core.graph.operations import OperationSet
from morphml_core.problem import Candidate
from morphml_core.space.decisions import DecisionSpace, Genotype

PREFIX = "hyperparameters."
"""Decisions whose path begins so are hyperparameters, and no part of the network."""

Express: TypeAlias = Callable[[Mapping[str, Any]], Graph]
"""From the active values by path to the graph; pure.  Raises `GraphError` where they make no network."""


class SearchSpace:
    """A space of networks and hyperparameters, made of decisions and one pure function.

    Without `express` it is a space of plain parameters: each decision is a hyperparameter, under its whole path.
    `sketch` draws a smaller graph that holds every searched part once, where the network repeats it.  Raises `SpaceError` when `express` comes without `operations`, which say what its nodes mean.
    """

    def __init__(
        self,
        decisions: DecisionSpace,
        express: Express | None = None,
        operations: OperationSet | None = None,
        sketch: Express | None = None,
    ) -> None:
        if express is not None and operations is None:
            raise SpaceError("a space with a function that makes graphs needs the operations they are made of")
        self.decisions = decisions
        self.operations = operations
        self._express = express
        self._sketch = sketch or express
        self._last: tuple[Genotype, Candidate] | None = None
        self._named = sorted(
            (self._name(decision.path), index)
            for index, decision in enumerate(decisions.decisions)
            if express is None or decision.path.startswith(PREFIX)
        )

    def _name(self, path: str) -> str:
        return path if self._express is None else path.removeprefix(PREFIX)

    def raw_graph(self, genotype: Genotype) -> Graph:
        """The graph as the space draws it, with its dead parts: published parameter counts often need those.

        Raises `GraphError` where the values make no network, `SpaceError` where the space has no graphs.
        """
        if self._express is None:
            raise SpaceError("this space has plain parameters only; it draws no graph")
        return self._express(self.decisions.values(genotype))

    def sketch(self, genotype: Genotype) -> Graph | None:
        """A graph with each searched part once; the raw graph where the space has no smaller one, None where it has no graphs.

        Raises `GraphError` where the values make no network.
        """
        return None if self._sketch is None else self._sketch(self.decisions.values(genotype))

    def express(self, genotype: Genotype) -> Candidate:
        """The candidate of a genotype: its effective graph, its hyperparameters and their common fingerprint.

        The last one is kept: a search in one process expresses each genotype to judge it, and then again to evaluate it.
        Raises `GraphError` where the values make no network.
        """
        last = self._last
        if last is None or last[0] is not genotype:
            last = self._last = genotype, self._candidate(genotype)
        return last[1]

    def _candidate(self, genotype: Genotype) -> Candidate:
        values = self.decisions.values(genotype)
        slots = genotype.slots
        hyperparameters = {name: slots[index] for name, index in self._named if slots[index] is not None}
        mark = _digest(hyperparameters) if hyperparameters else ""
        if self._express is None or self.operations is None:
            return Candidate(None, hyperparameters, mark or _digest({}), values)
        # Imported late: plain parameter spaces need nothing of it.
        from morphml_core.graph.canonical import digest, effective

        graph = effective(self._express(values), self.operations)
        whole = digest(graph)
        return Candidate(graph, hyperparameters, f"{whole}-{mark}" if mark else whole, values)


def _digest(hyperparameters: dict[str, Any]) -> str:
    """A hash of names and values, which tells 1 from 1.0 and True, and each float from its neighbours.

    Version 2 of `marshal` writes a value in one way only, on every Python.  It knows plain values alone; `repr`, which takes three
    times as long, knows all.
    """
    try:
        written = marshal.dumps(hyperparameters, 2)
    except ValueError:
        written = repr(hyperparameters).encode()
    return blake2b(written, digest_size=16).hexdigest()
