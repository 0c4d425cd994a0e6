"""The drawing of a network, as a plotly figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
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
    boxes, edges = layout.collapse(
        [node.inputs for node in graph.nodes], [label(node, operations) for node in graph.nodes]
    )
    return _figure(layout.draw(boxes, edges), sizes)


def _texts(drawing: layout.Drawing, sizes: Sequence[Shape | None]) -> list[list[str]]:
    texts = []
    for box in drawing.boxes:
        size = sizes[box.nodes[-1]]
        foot = ["×".join(str(side) for side in size)] if size else []
        texts.append([*box.lines, *foot])
    return texts


def _figure(drawing: layout.Drawing, sizes: Sequence[Shape | None]) -> Figure:
    from plotly.graph_objects import Figure

    texts = _texts(drawing, sizes)
    width = max(max(len(line) for line in text) for text in texts) * _CHARACTER + 24
    tops = _tops(drawing, texts)
    figure = Figure()
    for index, text in enumerate(texts):
        _box(
            figure,
            drawing.boxes[index],
            text,
            drawing.places[index][1] * (width + 24),
            tops[drawing.places[index][0]],
            width,
            bool(sizes[0]),
        )
    for edge in drawing.edges:
        _edge(figure, drawing, edge, texts, tops, width + 24)
    places = [across * (width + 24) for _, across in drawing.places]
    bends = [point[1] * (width + 24) for edge in drawing.edges for point in edge[2]]
    left, right = min(places + bends) - width / 2, max(places + bends) + width / 2
    deepest = max(tops[drawing.places[index][0]] + _height(text) for index, text in enumerate(texts))
    height = deepest + _MARGIN
    figure.update_xaxes(visible=False, range=[left - _MARGIN, right + _MARGIN], fixedrange=True)
    figure.update_yaxes(visible=False, range=[height, -_MARGIN], fixedrange=True)
    figure.update_layout(
        width=right - left + 2 * _MARGIN,
        height=height + _MARGIN,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
    )
    return figure


def _height(text: Sequence[str]) -> float:
    return len(text) * _LINE + 12


def _tops(drawing: layout.Drawing, texts: Sequence[Sequence[str]]) -> list[float]:
    """The upper edge of each layer."""
    heights: dict[int, float] = {}
    for (layer, _), text in zip(drawing.places, texts, strict=True):
        heights[layer] = max(heights.get(layer, 0.0), _height(text))
    tops = [float(_MARGIN)]
    for layer in range(len(heights)):
        tops.append(tops[-1] + heights[layer] + _GAP)
    return tops


def _box(
    figure: Figure, box: layout.Box, text: Sequence[str], centre: float, top: float, width: float, sized: bool
) -> None:
    hue = next((_HUES[word] for line in box.lines if (word := line.split("_")[0].split()[0]) in _HUES), None)
    fill = f"hsla({hue}, 65%, 55%, 0.16)" if hue is not None else "rgba(128,128,128,0.12)"
    line = f"hsla({hue}, 50%, 50%, 0.9)" if hue is not None else "rgba(128,128,128,0.8)"
    figure.add_shape(
        type="rect", x0=centre - width / 2, x1=centre + width / 2, y0=top, y1=top + _height(text), fillcolor=fill,
        line={"color": line, "width": 1.2},
    )  # fmt: skip
    lines = [escape(part) for part in text]
    operations = len(box.lines)
    shown = [f"<b>{part.split(' ', 1)[0]}</b>{part[len(part.split(' ', 1)[0]) :]}" for part in lines[:operations]]
    shown += [f'<span style="opacity:0.65">{part}</span>' for part in lines[operations:]]
    figure.add_annotation(
        x=centre, y=top + _height(text) / 2, text="<br>".join(shown), showarrow=False, font={"size": _FONT}
    )
    if box.count > 1:
        figure.add_annotation(
            x=centre + width / 2,
            y=top,
            text=f"<b>× {box.count}</b>",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            font={"size": _FONT},
        )


def _edge(
    figure: Figure, drawing: layout.Drawing, edge: tuple[int, int, tuple[tuple[int, float], ...]], texts: Sequence[Sequence[str]],
    tops: Sequence[float], unit: float,
) -> None:  # fmt: skip
    start, _, points = edge
    middle = points[1:-1]
    path = [(points[0][1] * unit, tops[points[0][0]] + _height(texts[start]))]
    for layer, across in middle:
        path += [(across * unit, tops[layer]), (across * unit, tops[layer + 1] - _GAP)]
    end = (points[-1][1] * unit, tops[points[-1][0]])
    steps = [f"M {path[0][0]:.1f},{path[0][1]:.1f}"]
    for (_, y0), (x1, y1) in zip(path, [*path[1:], end], strict=True):
        x0 = float(steps[-1].rsplit(" ", 1)[-1].split(",")[0])
        half = (y0 + y1) / 2
        steps.append(f"C {x0:.1f},{half:.1f} {x1:.1f},{half:.1f} {x1:.1f},{y1:.1f}")
    figure.add_shape(
        type="path", path=" ".join(steps), line={"color": "rgba(128,128,128,0.75)", "width": 1.3}, layer="below"
    )
    figure.add_annotation(
        x=end[0], y=end[1], ax=0, ay=-7, axref="pixel", ayref="pixel", showarrow=True, arrowhead=2, arrowsize=1, arrowwidth=1.3,
        arrowcolor="rgba(128,128,128,0.9)", text="",
    )  # fmt: skip
