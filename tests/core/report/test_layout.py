from hypothesis import given
from hypothesis import strategies as st

from morphml_core.report.layout import Box, collapse, draw


def chain_of(*labels):
    return [[] if index == 0 else [index - 1] for index in range(len(labels))], list(labels)


def test_a_run_without_forks_shares_a_box_that_begins_with_its_weights():
    boxes, edges = collapse(*chain_of("input", "conv 16", "relu", "max_pool", "conv 32", "relu", "output"))
    assert [box.lines for box in boxes] == [
        ("input",),
        ("conv 16", "relu", "max_pool"),
        ("conv 32", "relu"),
        ("output",),
    ]
    assert edges == [(0, 1), (1, 2), (2, 3)]


def test_equal_boxes_in_a_row_become_one_with_a_count():
    boxes, edges = collapse(*chain_of("input", "conv", "relu", "conv", "relu", "conv", "relu", "output"))
    assert boxes == [Box((0,), ("input",)), Box((1, 2, 3, 4, 5, 6), ("conv", "relu"), 3), Box((7,), ("output",))]
    assert edges == [(0, 1), (1, 2)]


def test_a_fork_and_its_join_stay_apart():
    boxes, edges = collapse(
        [[], [0], [1], [1], [2, 3], [4]], ["input", "relu", "max_pool", "avg_pool", "add", "output"]
    )
    assert [box.lines for box in boxes] == [("input",), ("relu",), ("max_pool",), ("avg_pool",), ("add",), ("output",)]
    assert edges == [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)]


def test_layers_follow_the_longest_path_and_branches_lie_beside_each_other():
    drawing = draw([Box((i,), (str(i),)) for i in range(4)], [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)])
    assert [layer for layer, _ in drawing.places] == [0, 1, 1, 2]
    assert abs(drawing.places[1][1] - drawing.places[2][1]) >= 1
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
    inputs, labels = graph
    boxes, edges = collapse(inputs, labels)
    drawing = draw(boxes, edges)
    assert sorted(node for box in boxes for node in box.nodes) == list(range(len(inputs)))
    assert all(drawing.places[a][0] < drawing.places[b][0] for a, b, _ in drawing.edges)
    for index, (layer, across) in enumerate(drawing.places):
        others = [place for other, place in enumerate(drawing.places) if other != index and place[0] == layer]
        assert all(abs(across - other) > 0.99 for _, other in others)
