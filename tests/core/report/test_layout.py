from hypothesis import given
from hypothesis import strategies as st

from morphml_core.report.layout import Box, Parts, collapse, draw


def chain_of(*labels):
    return [[] if index == 0 else [index - 1] for index in range(len(labels))], list(labels)


def test_a_run_without_forks_shares_a_box_that_begins_with_its_weights():
    parts = collapse(*chain_of("input", "conv 16", "relu", "max_pool", "conv 32", "relu", "output"))
    assert [box.lines for box in parts.boxes] == [
        ("input",),
        ("conv 16", "relu", "max_pool"),
        ("conv 32", "relu"),
        ("output",),
    ]
    assert parts.edges == ((0, 1), (1, 2), (2, 3))
    assert parts.repeats == ()


def test_equal_boxes_in_a_row_become_one_with_a_count():
    parts = collapse(*chain_of("input", "conv", "relu", "conv", "relu", "conv", "relu", "output"))
    assert parts.boxes == (Box((0,), ("input",)), Box((1, 2, 3, 4, 5, 6), ("conv", "relu")), Box((7,), ("output",)))
    assert parts.edges == ((0, 1), (1, 2))
    assert parts.repeats == ((1, 1, 3),)


def test_equal_cells_in_a_row_become_one_with_a_count():
    inputs, labels = [[]], ["input"]
    for _ in range(4):
        last = len(inputs) - 1
        inputs += [[last], [last], [last + 1, last + 2]]
        labels += ["conv 16", "max_pool", "add"]
    parts = collapse([*inputs, [len(inputs) - 1]], [*labels, "output"])
    assert [box.lines for box in parts.boxes] == [("input",), ("conv 16",), ("max_pool",), ("add",), ("output",)]
    assert parts.edges == ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4))
    assert parts.repeats == ((1, 3, 4),)


def test_parts_that_take_turns_are_found():
    parts = collapse(*chain_of("input", *["conv 16", "relu", "conv 32", "gelu"] * 3, "output"))
    assert [box.lines for box in parts.boxes] == [("input",), ("conv 16", "relu"), ("conv 32", "gelu"), ("output",)]
    assert parts.repeats == ((1, 2, 3),)


def test_a_fork_and_its_join_stay_apart():
    parts = collapse([[], [0], [1], [1], [2, 3], [4]], ["input", "relu", "max_pool", "avg_pool", "add", "output"])
    assert [box.lines for box in parts.boxes] == [
        ("input",),
        ("relu",),
        ("max_pool",),
        ("avg_pool",),
        ("add",),
        ("output",),
    ]
    assert parts.edges == ((0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5))


def test_layers_follow_the_longest_path_and_branches_lie_beside_each_other():
    boxes = tuple(Box((i,), (str(i),)) for i in range(4))
    drawing = draw(Parts(boxes, ((0, 1), (0, 2), (1, 3), (2, 3), (0, 3))), [100.0] * 4)
    assert [layer for layer, _ in drawing.places] == [0, 1, 1, 2]
    assert abs(drawing.places[1][1] - drawing.places[2][1]) >= 100
    (*_, skip) = drawing.edges
    assert [layer for layer, _ in skip[2]] == [0, 1, 2]


@st.composite
def graphs(draw_from):
    size = draw_from(st.integers(1, 14))
    inputs = [
        sorted(draw_from(st.sets(st.integers(0, node - 1), min_size=1, max_size=3))) if node else []
        for node in range(size)
    ]
    labels = draw_from(st.lists(st.sampled_from(["conv 8", "relu", "add", "max_pool"]), min_size=size, max_size=size))
    return inputs, labels


@given(graphs())
def test_every_node_is_drawn_once_below_what_it_reads_and_no_boxes_overlap(graph):
    parts = collapse(*graph)
    widths = [50.0 + 10 * len(box.lines) for box in parts.boxes]
    drawing = draw(parts, widths)
    assert sorted(node for box in parts.boxes for node in box.nodes) == list(range(len(graph[0])))
    assert all(drawing.places[a][0] < drawing.places[b][0] for a, b, _ in drawing.edges)
    for index, (layer, centre) in enumerate(drawing.places):
        for other, (other_layer, other_centre) in enumerate(drawing.places):
            if other != index and layer == other_layer:
                assert abs(centre - other_centre) > (widths[index] + widths[other]) / 2
