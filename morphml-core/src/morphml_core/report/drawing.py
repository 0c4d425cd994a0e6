"""The drawing of a network, as a plotly figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from morphml_core.errors import MorphMLError
from morphml_core.graph.ir import Graph, Node, Shape
from morphml_core.graph.operations import OperationSet, Signature
from morphml_core.report import layout
from morphml_core.report.format import value

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_LINE = 17  # height of a line of text, in pixels
_GAP = 34  # height between layers, where the arrows are
_CHARACTER = 7.2  # width of a character, in pixels
_FONT = 12
_MARGIN = 10
_WIRE = "rgba(128,128,128,0.8)"
_HUES = {
    "conv": 212, "depthwise": 195, "separable": 195, "dilated": 228, "project": 212, "factorized": 228, "dense": 265, "attention": 290,
    "max": 150, "avg": 150, "global": 150, "add": 35, "concat": 35, "multiply": 35, "squeeze": 330,
}  # fmt: skip


def shapes(graph: Graph, operations: OperationSet, signature: Signature | None) -> tuple[Graph, Sequence[Shape | None]]:
    """The graph to draw and each node's output shape: the lowered one where the signature is known and everything fits."""
    if signature is not None:
        from morphml_core.graph.shapes import lower

        try:
            lowered = lower(graph, operations, signature)
        except MorphMLError:
            return graph, [None] * len(graph)
        return lowered.graph(), [node.shape for node in lowered.nodes if node.live]
    return graph, [None] * len(graph)


def label(node: Node, operations: OperationSet | None) -> str:
    """A node in a few words: its operation, and the parameters that are not the operation's defaults."""
    defaults: Mapping[str, Any] = (
        operations[node.op].defaults if operations is not None and node.op in operations else {}
    )
    params = {key: held for key, held in node.params if key not in defaults or defaults[key] != held}
    words = [value(params.pop(key)) for key in ("channels", "units") if key in params]
    kernel = params.pop("kernel", None)
    words += [f"{kernel}×{kernel}"] if kernel is not None else []
    words += [f"{key} {value(held)}" for key, held in params.items()]
    return node.op + (" " + ", ".join(words) if words else "")


def network(graph: Graph, operations: OperationSet | None, signature: Signature | None = None) -> Figure:
    """The network from top to bottom: one box a run of nodes, arrows for what they read, shapes beside the boxes."""
    sizes: Sequence[Shape | None] = [None] * len(graph)
    if operations is not None:
        graph, sizes = shapes(graph, operations, signature)
    parts = layout.collapse([node.inputs for node in graph.nodes], [label(node, operations) for node in graph.nodes])
    return _Canvas(parts, sizes).figure()


class _Canvas:
    """Collects what is drawn: plotly takes long to add shapes one by one."""

    def __init__(self, parts: layout.Parts, sizes: Sequence[Shape | None]) -> None:
        self.parts = parts
        self.texts = [_text(box, sizes[box.nodes[-1]]) for box in parts.boxes]
        self.widths = [max(len(line) for line in text) * _CHARACTER + 24 for text in self.texts]
        self.drawing = layout.draw(parts, self.widths)
        self.shapes: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.heads: list[tuple[float, float]] = []
        self.tops = self._tops()

    def figure(self) -> Figure:
        """The drawing."""
        from plotly.graph_objects import Figure

        for edge in self.drawing.edges:
            self._edge(*edge)
        for index in range(len(self.texts)):
            self._box(index)
        for repeat in self.parts.repeats:
            self._repeat(*repeat)
        left, right = self._extent(0, len(self.texts) - 1)
        right += 3 * _MARGIN if self.parts.repeats else 0
        height = max(self._bottom(index) for index in range(len(self.texts))) + 2 * _MARGIN
        figure = Figure()
        figure.add_scatter(
            x=[x for x, _ in self.heads], y=[y - 4 for _, y in self.heads], mode="markers", hoverinfo="skip",
            marker={"symbol": "triangle-down", "size": 8, "color": _WIRE},
        )  # fmt: skip
        figure.update_xaxes(visible=False, range=[left - 2 * _MARGIN, right + 2 * _MARGIN], fixedrange=True)
        figure.update_yaxes(visible=False, range=[height, 0], fixedrange=True)
        return figure.update_layout(
            shapes=self.shapes, annotations=self.annotations, width=right - left + 4 * _MARGIN, height=height,
            margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False,
        )  # fmt: skip

    def _tops(self) -> list[float]:
        """The upper edge of each layer, and of one more."""
        heights: dict[int, float] = {}
        for (layer, _), text in zip(self.drawing.places, self.texts, strict=True):
            heights[layer] = max(heights.get(layer, 0.0), _height(text))
        return [
            2.0 * _MARGIN,
            *accumulate((heights[row] + _GAP for row in range(len(heights))), initial=2.0 * _MARGIN),
        ][1:]

    def _bottom(self, index: int) -> float:
        return self.tops[self.drawing.places[index][0]] + _height(self.texts[index])

    def _extent(self, first: int, last: int) -> tuple[float, float]:
        """The left and right ends of some boxes and of the edges between them."""
        ends = [
            self.drawing.places[index][1] + side * self.widths[index] / 2
            for index in range(first, last + 1)
            for side in (-1, 1)
        ]
        ends += [x for a, b, points in self.drawing.edges if first <= a and b <= last for _, x in points]
        return min(ends), max(ends)

    def _box(self, index: int) -> None:
        box, text, (layer, centre), width = (
            self.parts.boxes[index],
            self.texts[index],
            self.drawing.places[index],
            self.widths[index],
        )
        hue = next((_HUES[word] for line in box.lines if (word := line.split("_")[0].split()[0]) in _HUES), None)
        fill = f"hsla({hue}, 65%, 55%, 0.16)" if hue is not None else "rgba(128,128,128,0.12)"
        line = f"hsla({hue}, 50%, 50%, 0.9)" if hue is not None else "rgba(128,128,128,0.8)"
        x0, x1, y0, y1 = centre - width / 2, centre + width / 2, self.tops[layer], self._bottom(index)
        self.shapes.append(
            {
                "type": "rect",
                "x0": x0,
                "x1": x1,
                "y0": y0,
                "y1": y1,
                "fillcolor": fill,
                "line": {"color": line, "width": 1.2},
            }
        )
        words = [escape(part).partition(" ") for part in text]
        shown = [f"<b>{name}</b>{space}{rest}" for name, space, rest in words[: len(box.lines)]]
        shown += [f'<span style="opacity:0.65">{"".join(word)}</span>' for word in words[len(box.lines) :]]
        self._write(centre, (y0 + y1) / 2, "<br>".join(shown))

    def _write(self, x: float, y: float, text: str, **more: Any) -> None:
        self.annotations.append({"x": x, "y": y, "text": text, "showarrow": False, "font": {"size": _FONT}, **more})

    def _repeat(self, first: int, last: int, count: int) -> None:
        """A dashed frame around a part that is there several times, with the number."""
        left, right = self._extent(first, last)
        top = min(self.tops[self.drawing.places[index][0]] for index in range(first, last + 1)) - 14
        bottom = max(self._bottom(index) for index in range(first, last + 1)) + 8
        self.shapes.append({
            "type": "rect", "x0": left - 12, "x1": right + 12, "y0": top, "y1": bottom, "layer": "below",
            "line": {"color": _WIRE, "width": 1, "dash": "dot"},
        })  # fmt: skip
        self._write(right + 16, (top + bottom) / 2, f"<b>× {count}</b>", xanchor="left")

    def _edge(self, start: int, end: int, points: Sequence[tuple[int, float]]) -> None:
        path = [(points[0][1], self._bottom(start))]
        for layer, x in points[1:-1]:
            path += [(x, self.tops[layer]), (x, self.tops[layer + 1] - _GAP)]
        path.append((points[-1][1], self.tops[points[-1][0]]))
        steps = [f"M {path[0][0]:.1f},{path[0][1]:.1f}"]
        for (x0, y0), (x1, y1) in pairwise(path):
            half = (y0 + y1) / 2
            steps.append(
                f"L {x1:.1f},{y1:.1f}" if x0 == x1 else f"C {x0:.1f},{half:.1f} {x1:.1f},{half:.1f} {x1:.1f},{y1:.1f}"
            )
        self.shapes.append(
            {"type": "path", "path": " ".join(steps), "line": {"color": _WIRE, "width": 1.3}, "layer": "below"}
        )
        self.heads.append(path[-1])


def _text(box: layout.Box, size: Shape | None) -> list[str]:
    return [*box.lines, *(["×".join(str(side) for side in size)] if size else [])]


def _height(text: Sequence[str]) -> float:
    return len(text) * _LINE + 12
