"""Where the boxes of a network's drawing go: layers by longest path, few crossings within them.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers, stand-ins where an edge passes a layer, ordering of
each layer by the mean position of its neighbours (barycentre sweeps).  First, runs of nodes without a fork
become one box, and equal boxes in a row become one with a count, so that large networks stay readable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import attrs

_SWEEPS = 6
_LINES = 6
_STARTS = ("conv", "dense", "attention", "project", "reduce")


@attrs.frozen
class Box:
    """One box of the drawing: the nodes it stands for (by index), a line of text for each, and how often it repeats."""

    nodes: tuple[int, ...]
    lines: tuple[str, ...]
    count: int = 1


@attrs.frozen
class Drawing:
    """Boxes with their places: `layer` counts from 0 at the top, `across` is centred on 0, in box widths.

    `edges` are (from box, to box, points): the points lead from one box to the other through each layer.
    """

    boxes: tuple[Box, ...]
    places: tuple[tuple[int, float], ...]
    edges: tuple[tuple[int, int, tuple[tuple[int, float], ...]], ...]


def collapse(inputs: Sequence[Sequence[int]], labels: Sequence[str]) -> tuple[list[Box], list[tuple[int, int]]]:
    """Boxes in order, and edges between them, of a graph given by each node's inputs and its label."""
    readers: dict[int, list[int]] = defaultdict(list)
    for node, sources in enumerate(inputs):
        for source in sources:
            readers[source].append(node)
    home: dict[int, int] = {}
    runs: list[list[int]] = []
    for node, sources in enumerate(inputs):
        straight = len(sources) == 1 and len(readers[sources[0]]) == 1 and node != len(inputs) - 1
        if straight and sources[0] != 0 and _fits([labels[other] for other in runs[home[sources[0]]]], labels[node]):
            home[node] = home[sources[0]]
            runs[home[node]].append(node)
        else:
            home[node] = len(runs)
            runs.append([node])
    boxes = [Box(tuple(run), tuple(labels[node] for node in run)) for run in runs]
    edges = {(home[source], home[node]) for node, sources in enumerate(inputs) for source in sources}
    return _repeats(boxes, sorted((a, b) for a, b in edges if a != b))


def _fits(run: Sequence[str], label: str) -> bool:
    """Whether a run takes one more node: none that begins a part, so that a stack of equal parts breaks at equal places."""
    return len(run) < _LINES and not any(word in label.split()[0] for word in _STARTS)


def _repeats(boxes: list[Box], edges: list[tuple[int, int]]) -> tuple[list[Box], list[tuple[int, int]]]:
    """Equal boxes in a straight row become one box with a count."""
    after, before = defaultdict(list), defaultdict(list)
    for a, b in edges:
        after[a].append(b)
        before[b].append(a)
    merged: dict[int, int] = {}
    for index, box in enumerate(boxes):
        previous = before[index]
        if len(previous) == 1 and len(after[previous[0]]) == 1 and boxes[previous[0]].lines == box.lines:
            merged[index] = merged.get(previous[0], previous[0])
    kept = [index for index in range(len(boxes)) if index not in merged]
    place = {index: kept.index(merged.get(index, index)) for index in range(len(boxes))}
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(boxes)):
        members[place[index]].append(index)
    result = [
        Box(sum((boxes[index].nodes for index in members[new]), ()), boxes[old].lines, len(members[new]))
        for new, old in enumerate(kept)
    ]
    return result, sorted({(place[a], place[b]) for a, b in edges if place[a] != place[b]})


def draw(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> Drawing:
    """Places for boxes and points for edges.  Edges lead from earlier boxes to later ones."""
    layer = [0] * len(boxes)
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        layer[b] = max(layer[b], layer[a] + 1)
    routes, rows, links = _stand_ins(layer, edges)
    across = _order(rows, links)
    places = tuple((layer[index], across[index]) for index in range(len(boxes)))
    return Drawing(
        tuple(boxes),
        places,
        tuple(
            (a, b, tuple((layer[a] + step, across[point]) for step, point in enumerate(route)))
            for (a, b), route in zip(edges, routes, strict=True)
        ),
    )


def _stand_ins(
    layer: Sequence[int], edges: Sequence[tuple[int, int]]
) -> tuple[list[list[int]], list[list[int]], list[tuple[int, int]]]:
    """Each edge as a route of points, one a layer; the points of each layer; and the links between adjacent layers."""
    rows: list[list[int]] = [[] for _ in range(max(layer, default=0) + 1)]
    for index, row in enumerate(layer):
        rows[row].append(index)
    fresh = len(layer)
    routes, links = [], []
    for a, b in edges:
        route = [a]
        for row in range(layer[a] + 1, layer[b]):
            rows[row].append(fresh)
            route.append(fresh)
            fresh += 1
        route.append(b)
        routes.append(route)
        links += list(pairwise(route))
    return routes, rows, links


def _order(rows: list[list[int]], links: Sequence[tuple[int, int]]) -> dict[int, float]:
    """A position across for every point: rows ordered by barycentre sweeps down and up, then spread and centred."""
    above, below = defaultdict(list), defaultdict(list)
    for a, b in links:
        below[a].append(b)
        above[b].append(a)
    across = {point: index - (len(row) - 1) / 2 for row in rows for index, point in enumerate(row)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            near = above if down else below
            wish = {point: _mean([across[other] for other in near[point]], across[point]) for point in row}
            row.sort(key=lambda point: wish[point])
            across.update(zip(row, _spread([wish[point] for point in row]), strict=True))
    return across


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _spread(wishes: Sequence[float]) -> list[float]:
    """Positions at least 1 apart, in order, with the mean of the wished ones."""
    placed: list[float] = []
    for wish in wishes:
        placed.append(wish if not placed else max(wish, placed[-1] + 1))
    shift = _mean(list(wishes), 0.0) - _mean(placed, 0.0)
    return [position + shift for position in placed]
