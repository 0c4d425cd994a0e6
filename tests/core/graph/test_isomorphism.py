import itertools
import random
import time

import pytest

from morphml_core.graph.isomorphism import Problem, canonical_order


def form(problem: Problem, order: list[int]):
    """The graph written down in an order: what must be equal for isomorphic graphs."""
    place = {index: rank for rank, index in enumerate(order)}
    found = []
    for index in order:
        sources = [place[source] for source in problem.inputs[index]]
        found.append((problem.labels[index], tuple(sources if problem.ordered[index] else sorted(sources))))
    return tuple(found)


def canonical_form(problem: Problem):
    order = canonical_order(problem)
    assert sorted(order) == list(range(len(problem.labels)))
    place = {index: rank for rank, index in enumerate(order)}
    assert all(place[source] < place[index] for index in order for source in problem.inputs[index])
    return form(problem, order)


def brute_force_form(problem: Problem):
    """The least form over all orders, in any of which nodes may stand."""
    return min(form(problem, list(order)) for order in itertools.permutations(range(len(problem.labels))))


def check_bijection(problems):
    """Equal canonical forms exactly for isomorphic graphs; returns how many there are up to isomorphism."""
    pairs = {(canonical_form(problem), brute_force_form(problem)) for problem in problems}
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})
    return len(pairs)


def shuffled(problem: Problem, seed: int) -> Problem:
    rng = random.Random(seed)
    waiting, order = set(range(len(problem.labels))), []
    while waiting:
        ready = [i for i in sorted(waiting) if not waiting & set(problem.inputs[i])]
        order.append(rng.choice(ready))
        waiting.remove(order[-1])
    place = {index: rank for rank, index in enumerate(order)}
    inputs = []
    for index in order:
        sources = [place[source] for source in problem.inputs[index]]
        if not problem.ordered[index]:
            rng.shuffle(sources)
        inputs.append(tuple(sources))
    return Problem([problem.labels[i] for i in order], inputs, [problem.ordered[i] for i in order])


def simple(inputs, labels=None) -> Problem:
    return Problem(labels or [0] * len(inputs), [tuple(sources) for sources in inputs], [False] * len(inputs))


def subsets(count):
    return [subset for size in range(count + 1) for subset in itertools.combinations(range(count), size)]


def test_every_graph_of_five_alike_nodes():
    problems = [simple(inputs) for inputs in itertools.product(*(subsets(count) for count in range(5)))]
    assert len(problems) == 1024
    # Sloane's A003087: unlabelled acyclic digraphs.
    assert check_bijection(problems) == 302


def test_every_graph_of_four_nodes_with_two_labels():
    inputs = list(itertools.product(*(subsets(count) for count in range(4))))
    problems = [simple(i, list(labels)) for i in inputs for labels in itertools.product((0, 1), repeat=4)]
    check_bijection(problems)


def test_every_graph_of_four_nodes_with_repeated_edges():
    choices = [list(itertools.product(range(3), repeat=count)) for count in range(4)]
    problems = [
        simple([[s for s, count in enumerate(counts) for _ in range(count)] for counts in picked])
        for picked in itertools.product(*choices)
    ]
    assert len(problems) == 729
    check_bijection(problems)


def test_every_graph_of_four_nodes_that_read_in_order():
    def sequences(count):
        return [s for size in range(3) for s in itertools.product(range(count), repeat=size)]

    problems = [
        Problem([0] * 4, list(inputs), [True] * 4)
        for inputs in itertools.product(*(sequences(count) for count in range(4)))
    ]
    check_bijection(problems)


def test_random_graphs_of_seven_nodes_keep_their_form_when_relabelled():
    rng = random.Random(3)
    for number in range(300):
        inputs = [[rng.randrange(i) for _ in range(rng.randint(0, 3))] if i else [] for i in range(7)]
        problem = Problem(
            [rng.randrange(2) for _ in range(7)], [tuple(i) for i in inputs], [rng.random() < 0.3 for _ in range(7)]
        )
        assert canonical_form(problem) == canonical_form(shuffled(problem, number))


def layered(count, neighbours):
    """Two layers of `count` nodes; each of the upper reads those that `neighbours(i)` gives."""
    return simple([[] for _ in range(count)] + [sorted(neighbours(i)) for i in range(count)])


def cycles(*lengths):
    inputs, start = [], 0
    for length in lengths:
        inputs += [[start + i, start + (i + 1) % length] for i in range(length)]
        start += length
    return simple([[] for _ in range(start)] + inputs)


def incidence(edges, count):
    return simple([[] for _ in range(count)] + [list(edge) for edge in sorted(edges)])


def rook():
    cells = list(itertools.product(range(4), repeat=2))
    pairs = itertools.combinations(range(16), 2)
    return incidence([(a, b) for a, b in pairs if (cells[a][0] == cells[b][0]) != (cells[a][1] == cells[b][1])], 16)


def shrikhande():
    cells = list(itertools.product(range(4), repeat=2))
    steps = {(0, 1), (1, 0), (1, 1), (0, 3), (3, 0), (3, 3)}
    pairs = itertools.combinations(range(16), 2)
    near = [(a, b) for a, b in pairs if ((cells[a][0] - cells[b][0]) % 4, (cells[a][1] - cells[b][1]) % 4) in steps]
    return incidence(near, 16)


def lattice(bits):
    inputs = {m: [m & ~(1 << b) for b in range(bits) if m >> b & 1] for m in range(2**bits)}
    order = sorted(inputs, key=lambda m: m.bit_count())
    place = {m: i for i, m in enumerate(order)}
    return simple([[place[s] for s in inputs[m]] for m in order])


SYMMETRIC = {
    "thirty twins": simple([[], *[[0]] * 30, list(range(1, 31))]),
    "twenty branches of four": simple(
        [[], *[[0] if i % 4 == 0 else [i] for i in range(80)], [4 * i + 4 for i in range(20)]],
    ),
    "all read all": layered(20, lambda i: range(20)),
    "all read all but one": layered(20, lambda i: set(range(20)) - {i}),
    "one cycle": cycles(24),
    "eight cycles": cycles(*[3] * 8),
    "lattice of five": lattice(5),
    "circulant": layered(17, lambda i: {i, (i + 1) % 17, (i + 4) % 17}),
    "rook's graph": rook(),
    "Shrikhande graph": shrikhande(),
    "random and regular": layered(16, lambda i: {(7 * i + 3) % 16, (5 * i + 1) % 16, (3 * i + 11) % 16}),
}


@pytest.mark.parametrize("name", sorted(SYMMETRIC))
def test_symmetric_graphs_are_quick_and_keep_their_form(name):
    problem = SYMMETRIC[name]
    started = time.process_time()
    forms = {canonical_form(shuffled(problem, seed)) for seed in range(4)}
    assert len(forms) == 1
    assert time.process_time() - started < 2.0


def test_graphs_that_colour_refinement_cannot_tell_apart_get_different_forms():
    assert canonical_form(cycles(6)) != canonical_form(cycles(3, 3))
    assert canonical_form(cycles(4, 8)) != canonical_form(cycles(6, 6)) != canonical_form(cycles(12))
    assert canonical_form(rook()) != canonical_form(shrikhande())
