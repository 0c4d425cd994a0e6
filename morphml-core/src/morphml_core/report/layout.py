"""Where the boxes of a network's drawing go: layers by longest path, few crossings within them.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers, stand-ins where an edge passes a layer, ordering of
each layer by the mean position of its neighbours (barycentre sweeps).  First, runs of nodes without a fork
become one box, and equal parts in a row are drawn once with a count, so that large networks stay readable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, pairwise

import attrs

_SWEEPS = 12
_LINES = 6
_PERIOD = 8
_STARTS = ("conv", "dense", "attention", "project", "reduce")
_GAP = 24.0
_STAND_IN = 10.0


@attrs.frozen
class Box:
    """One box of the drawing: the nodes it stands for (by index), and a line of text for each of one repetition."""

    nodes: tuple[int, ...]
    lines: tuple[str, ...]


@attrs.frozen
class Parts:
    """A network in boxes.  `edges` lead from earlier boxes to later ones; `repeats` are (first box, last box, count)."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    repeats: tuple[tuple[int, int, int], ...] = ()


@attrs.frozen
class Drawing:
    """Where boxes go: `places` are (layer, centre), layers counted from 0 at the top, centres in the unit of the widths.

    `edges` are (from box, to box, points): the points lead from one box to the other through each layer.
    """

    places: tuple[tuple[int, float], ...]
    edges: tuple[tuple[int, int, tuple[tuple[int, float], ...]], ...]


def collapse(inputs: Sequence[Sequence[int]], labels: Sequence[str]) -> Parts:
    """The boxes of a graph that is given by each node's inputs and its label."""
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
    return _fold(boxes, sorted((a, b) for a, b in edges if a != b))


def _fits(run: Sequence[str], label: str) -> bool:
    """Whether a run takes one more node: none that begins a part, so that a stack of equal parts breaks at equal places."""
    return len(run) < _LINES and not any(word in label.split()[0] for word in _STARTS)


def _fold(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> Parts:
    """Equal parts in a row become one.  A part lies between two boxes that every way through the network passes."""
    cuts = _cuts(len(boxes), edges)
    spans = [(a + 1, b + 1) for a, b in pairwise([-1, *cuts])]
    into: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        into[b].append(a)
    marks = [
        tuple((boxes[box].lines, tuple(box - source for source in into[box])) for box in range(start, end))
        for start, end in spans
    ]
    place: dict[int, int] = {}
    members: list[list[int]] = []
    repeats = []
    for first, period, count in _runs(marks):
        start, end = spans[first][0], spans[first + period - 1][1]
        size = end - start
        if count > 1:
            repeats.append((len(members), len(members) + size - 1, count))
        for offset in range(size * count):
            place[start + offset] = len(members) + offset % size
        members += [[start + offset + size * turn for turn in range(count)] for offset in range(size)]
    folded = [
        Box(tuple(node for box in group for node in boxes[box].nodes), boxes[group[0]].lines) for group in members
    ]
    kept = {(place[a], place[b]) for a, b in edges if place[a] < place[b]}
    return Parts(tuple(folded), tuple(sorted(kept)), tuple(repeats))


def _cuts(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The boxes that no edge passes by."""
    reach = [0] * count
    for a, b in edges:
        reach[a] = max(reach[a], b)
    farthest = list(accumulate(reach, max))
    return [box for box in range(count) if box == 0 or farthest[box - 1] <= box or box == count - 1]


def _runs(marks: Sequence[object]) -> list[tuple[int, int, int]]:
    """(first, period, count): from `first` on, `period` parts are there `count` times in a row."""
    runs, first = [], 0
    while first < len(marks):
        best = (1, 1)
        for period in range(1, _PERIOD + 1):
            pattern, count = marks[first : first + period], 1
            while marks[first + count * period : first + (count + 1) * period] == pattern:
                count += 1
            if period * (count - 1) > best[0] * (best[1] - 1):
                best = (period, count)
        runs.append((first, *best))
        first += best[0] * best[1]
    return runs


def draw(parts: Parts, widths: Sequence[float]) -> Drawing:
    """Places for boxes of these widths, and points for edges."""
    edges, layer = parts.edges, [0] * len(parts.boxes)
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        layer[b] = max(layer[b], layer[a] + 1)
    routes, rows, links = _stand_ins(layer, edges)
    across = _order(rows, links, widths)
    return Drawing(
        tuple((layer[index], across[index]) for index in range(len(widths))),
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


def _order(rows: list[list[int]], links: Sequence[tuple[int, int]], widths: Sequence[float]) -> dict[int, float]:
    """A position for every point: rows ordered by barycentre sweeps down and up, then set apart."""
    above, below = defaultdict(list), defaultdict(list)
    for a, b in links:
        below[a].append(b)
        above[b].append(a)
    across = {point: index * max(widths) for row in rows for index, point in enumerate(row)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            near = above if down else below
            wish = {point: _mean([across[other] for other in near[point]], across[point]) for point in row}
            row[:] = sorted(row, key=wish.__getitem__)
            sizes = [widths[point] if point < len(widths) else _STAND_IN for point in row]
            across.update(zip(row, _spread([wish[point] for point in row], sizes), strict=True))
    return across


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _spread(wishes: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Positions in order, nowhere closer than the sizes allow, with the least squared distance to the wished ones.

    Without the room that each needs this is isotonic regression, solved by pooling adjacent violators.
    """
    room = [0.0, *accumulate((a + b) / 2 + _GAP for a, b in pairwise(sizes))]
    pools: list[tuple[float, int]] = []
    for wish, offset in zip(wishes, room, strict=True):
        total, count = wish - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    return [level + offset for level, offset in zip(levels, room, strict=True)]
