"""A canonical order of the nodes of a directed acyclic graph with labels.

Colour refinement first (McKay & Piperno, "Practical graph isomorphism, II", 2014), started from each node's label and
its distances from both ends, which tells repeated blocks apart at once.  Nodes that are still alike are split into
components by the edges that say something (those between two classes that are neither all there nor all absent); components are
independent, and equal ones are interchangeable, so twenty equal branches need no search.  Within a component a node of the smallest
class is singled out, each in turn unless a known symmetry maps it to one that was tried, and the smallest form wins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import attrs

Edges = list[tuple[int, int]]
"""(neighbour, position): the position is that of the input where order matters, otherwise -1."""


@attrs.frozen
class Problem:
    """A graph: a label rank for each node, the nodes that it reads (all earlier), and whether their order matters."""

    labels: Sequence[int]
    inputs: Sequence[tuple[int, ...]]
    ordered: Sequence[bool]


def canonical_order(problem: Problem) -> list[int]:
    """The nodes in an order that is the same, up to symmetry, for isomorphic graphs, and in which readers come later."""
    return _Search(problem).run()


class _Search:
    def __init__(self, problem: Problem) -> None:
        self.size = len(problem.labels)
        self.reads: list[Edges] = []
        self.read_by: list[Edges] = [[] for _ in range(self.size)]
        for index, sources in enumerate(problem.inputs):
            edges = list(enumerate(sources)) if problem.ordered[index] else [(-1, source) for source in sources]
            self.reads.append([(source, position) for position, source in edges])
            for position, source in edges:
                self.read_by[source].append((index, position))
        self.labels = problem.labels

    def run(self) -> list[int]:
        """Refine from labels and distances, then order what is left."""
        depth = [0] * self.size
        height = [0] * self.size
        for index, edges in enumerate(self.reads):
            depth[index] = 1 + max([depth[source] for source, _ in edges], default=-1)
        for index in range(self.size - 1, -1, -1):
            height[index] = 1 + max([height[reader] for reader, _ in self.read_by[index]], default=-1)
        keys = list(zip(depth, height, self.labels, strict=True))
        colours = [0] * self.size
        classes = _split(list(range(self.size)), keys, colours, 0)
        self._refine(classes, colours)
        rank = self._order(list(range(self.size)), colours)
        return sorted(range(self.size), key=lambda index: (colours[index], rank[index]))

    def _refine(self, classes: list[list[int]], colours: list[int]) -> None:
        """Split classes until all members of each have the same number of neighbours, by position, in every class.

        The colour of a class is the number of nodes in earlier ones, so a split leaves other colours as they are.
        """
        scale = self.size + 2
        waiting = [members for members in classes if len(members) > 1]
        changed = True
        while changed and waiting:
            changed = False
            following = []
            for members in waiting:
                keys: dict[int, Any] = {}
                for index in members:
                    reads = sorted([colours[other] * scale + position for other, position in self.reads[index]])
                    readers = sorted([colours[other] * scale + position for other, position in self.read_by[index]])
                    keys[index] = (reads, readers)
                first = keys[members[0]]
                if all(key == first for key in keys.values()):
                    following.append(members)
                    continue
                changed = True
                parts = _split(members, keys, colours, colours[members[0]])
                following.extend(part for part in parts if len(part) > 1)
            waiting = following

    def _order(self, nodes: list[int], colours: list[int]) -> dict[int, tuple[int, int]]:
        """For each node a rank to be compared within its class: first by component, then within the component."""
        classes: dict[int, list[int]] = defaultdict(list)
        for index in nodes:
            classes[colours[index]].append(index)
        rank = dict.fromkeys(nodes, (0, 0))
        alike = [members for members in classes.values() if len(members) > 1]
        if not alike:
            return rank
        forms = []
        for component in self._components(alike, colours):
            order = self._component_order(component, colours)
            forms.append((self._form(order, colours), order))
        forms.sort(key=lambda pair: pair[0])
        for number, (_, order) in enumerate(forms):
            for place, index in enumerate(order):
                rank[index] = (number, place)
        return rank

    def _components(self, alike: list[list[int]], colours: list[int]) -> list[list[int]]:
        """The sets of nodes, among those in classes of several, that are connected by edges that say something."""
        joined = _Sets(index for members in alike for index in members)
        members_of = {colours[members[0]]: members for members in alike}
        for members in alike:
            between: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(dict)
            for index in members:
                for reader, position in self.read_by[index]:
                    if colours[reader] in members_of:
                        between[colours[reader]].setdefault(index, []).append((reader, position))
            for colour, edges in between.items():
                self._join(joined, members, members_of[colour], edges)
        return joined.sets()

    @staticmethod
    def _join(joined: _Sets, members: list[int], readers: list[int], edges: dict[int, list[tuple[int, int]]]) -> None:
        """Join what the edges between two classes connect; or what missing edges connect, where those are fewer."""
        count = sum(map(len, edges.values()))
        simple = len({position for found in edges.values() for _, position in found}) == 1 and all(
            len(set(found)) == len(found) for found in edges.values()
        )
        dense = simple and 2 * count > len(members) * len(readers)
        for index in members:
            found = {reader for reader, _ in edges.get(index, ())}
            for reader in readers:
                if (reader in found) != dense:
                    joined.join(index, reader)

    def _component_order(self, component: list[int], colours: list[int]) -> list[int]:
        """The nodes of one component in canonical order."""
        classes: dict[int, list[int]] = defaultdict(list)
        for index in component:
            classes[colours[index]].append(index)
        several = [members for members in classes.values() if len(members) > 1]
        if not several:
            return sorted(component, key=colours.__getitem__)
        target = min(several, key=lambda members: (len(members), colours[members[0]]))
        best: tuple[Any, list[int]] | None = None
        orbits = _Sets(target)
        tried: list[int] = []
        for index in target:
            if any(orbits.same(index, other) for other in tried):
                continue
            tried.append(index)
            order = self._single_out(index, component, colours)
            form = self._form(order, colours)
            if best is None or form < best[0]:
                best = (form, order)
            elif form == best[0]:
                image = dict(zip(best[1], order, strict=True))
                for node in target:
                    orbits.join(node, image[node])
        assert best is not None
        return best[1]

    def _single_out(self, chosen: int, component: list[int], colours: list[int]) -> list[int]:
        """The canonical order of the component once `chosen` has a colour of its own, before its class."""
        # Colours count nodes of the component here; nodes outside it get one colour for all, as edges to them say nothing.
        keys = {index: (colours[index], index != chosen) for index in component}
        inner = [-1] * self.size
        classes = _split(component, keys, inner, 0)
        self._refine(classes, inner)
        rank = self._order(component, inner)
        return sorted(component, key=lambda index: (inner[index], rank[index]))

    def _form(self, order: list[int], colours: list[int]) -> list[tuple[int, list[tuple[int, int]]]]:
        """The component written down in that order: each node's colour, and its edges within the component."""
        place = {index: number for number, index in enumerate(order)}
        return [
            (
                colours[index],
                sorted([(place[other], position) for other, position in self.reads[index] if other in place]),
            )
            for index in order
        ]


def _split(members: list[int], keys: Any, colours: list[int], start: int) -> list[list[int]]:
    """Group nodes by key, in the order of keys, and give each group the colour `start` plus the nodes before it."""
    groups: list[list[int]] = []
    previous: Any = None
    for position, index in enumerate(sorted(members, key=keys.__getitem__)):
        key = keys[index]
        if not groups or key != previous:
            groups.append([])
            colour = start + position
            previous = key
        groups[-1].append(index)
        colours[index] = colour
    return groups


class _Sets:
    """Disjoint sets (union-find)."""

    def __init__(self, items: Any) -> None:
        self._parent = {item: item for item in items}

    def _root(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        self._parent[self._root(first)] = self._root(second)

    def same(self, first: int, second: int) -> bool:
        return self._root(first) == self._root(second)

    def sets(self) -> list[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for item in self._parent:
            found[self._root(item)].append(item)
        return list(found.values())
