import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import SpaceError
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Integer, Real, Subset

seeds = st.integers(0, 2**32 - 1)


@st.composite
def spaces(draw):
    """Decisions of all domains, some of them below earlier ones."""
    decisions, parents = [], []
    for index in range(draw(st.integers(1, 8))):
        domain = draw(
            st.sampled_from(
                [
                    Choice(("a", "b", "c")),
                    Choice((7,)),
                    Choice((False, True)),
                    Integer(1, 4),
                    Integer(1, 1000, log=True),
                    Real(-1, 1),
                    Real(2, 2),
                    Subset(("x", "y", "z")),
                    Subset(("x", "y", "z"), 1, 2),
                ]
            )
        )
        parent = draw(st.sampled_from([None, *parents]))
        if parent is None:
            decisions.append(Decision(f"d{index}", domain))
        else:
            whole = parent.domain
            known = (
                whole.values
                if isinstance(whole, Choice | Subset)
                else range(whole.low, min(whole.low + 4, whole.high + 1))
            )
            when = draw(st.lists(st.sampled_from(list(known)), min_size=1, unique=True))
            decisions.append(Decision(f"d{index}", domain, parent.path, when))
        if not isinstance(domain, Real):
            parents.append(decisions[-1])
    return DecisionSpace(decisions)


def conditional():
    return DecisionSpace(
        [
            Decision("kind", Choice(("a", "b"))),
            Decision("steps", Integer(1, 10), "kind", ("a",)),
            Decision("rate", Real(0, 1), "steps", (1, 2)),
            Decision("parts", Subset(("p", "q"))),
            Decision("size", Integer(1, 3), "parts", ("q",)),
        ]
    )


@given(spaces(), seeds)
def test_everything_gives_valid_genotypes(space, seed):
    rng = np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    found = [first, second, space.mutate(first, rng), space.mutate(first, rng, 3), space.crossover(first, second, rng)]
    for genotype in [*found, *space.neighbours(first, rng)]:
        space.validate(genotype)
        assert space.genotype(space.values(genotype)) == genotype


@given(spaces(), st.data())
def test_any_vector_decodes_and_encoding_is_its_inverse(space, data):
    numbers = st.one_of(st.floats(), st.floats(0, 1))
    vector = data.draw(st.lists(numbers, min_size=space.dimensions, max_size=space.dimensions))
    genotype = space.decode(vector)
    space.validate(genotype)
    assert space.decode(np.array(vector, dtype=float)) == genotype
    again = space.decode(space.encode(genotype))
    for one, two in zip(again, genotype, strict=True):
        assert one == pytest.approx(two) if isinstance(two, float) else one == two


@given(spaces(), seeds, st.integers(1, 3))
def test_a_mutation_changes_as_many_decisions_as_it_can(space, seed, count):
    rng = np.random.default_rng(seed)
    genotype = space.sample(rng)
    mutated = space.mutate(genotype, rng, count)
    changed = sum(a != b and a is not None and b is not None for a, b in zip(genotype, mutated, strict=True))
    assert changed <= count
    assert (mutated != genotype) == bool(space.mutable(genotype))


@given(spaces(), seeds)
def test_neighbours_differ_in_one_decision_and_what_hangs_on_it(space, seed):
    rng = np.random.default_rng(seed)
    genotype = space.sample(rng)
    for neighbour in space.neighbours(genotype, rng):
        pairs = zip(genotype, neighbour, strict=True)
        assert sum(a != b and a is not None and b is not None for a, b in pairs) == 1


@given(spaces(), seeds)
def test_a_child_has_only_what_its_parents_have(space, seed):
    rng = np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    child = space.crossover(first, second, rng)
    assert all(both in (one, two) for one, two, both in zip(first, second, child, strict=True))


@given(spaces(), seeds)
def test_one_generator_gives_one_sequence(space, seed):
    def sequence():
        rng = np.random.default_rng(seed)
        first, second = space.sample(rng), space.sample(rng)
        return [first, second, space.mutate(first, rng, 2), space.crossover(first, second, rng), space.sample(rng)]

    assert sequence() == sequence()


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True))
def test_size_counts_each_branch_once(when):
    space = DecisionSpace(
        [
            Decision("kind", Choice(("a", "b", "c"))),
            Decision("depth", Integer(1, 5), "kind", when),
            Decision("fixed", Choice((1,))),
        ]
    )
    assert space.size == len(when) * 5 + (3 - len(when))


def test_size_by_counting_samples():
    space = DecisionSpace(
        [
            Decision("parts", Subset(("p", "q"))),
            Decision("of_q", Choice((1, 2)), "parts", ("q",)),
            Decision("deep", Choice((1, 2, 3)), "of_q", (2,)),
        ]
    )
    rng = np.random.default_rng(0)
    assert len({space.sample(rng) for _ in range(2000)}) == space.size == 2 + 2 * (1 + 3)


def test_a_space_can_be_pickled_and_copied():
    space = conditional()
    for other in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert other.decisions == space.decisions
        assert other.decode([0.3] * 6) == space.decode([0.3] * 6)


def test_size_of_wide_parents():
    space = DecisionSpace(
        [
            Decision("wide", Integer(1, 2**39)),
            Decision("below", Choice((1, 2, 3)), "wide", (5, 7)),
            Decision("many", Subset(tuple(range(60)), 0, 1)),
            Decision("of_two", Choice((1, 2)), "many", (3, 4)),
        ]
    )
    assert space.size == (2**39 - 2 + 2 * 3) * (61 - 2 + 2 * 2)


def test_size_with_a_real():
    assert conditional().size == math.inf
    assert DecisionSpace([]).size == 1


def test_inactive_decisions_are_none():
    space = conditional()
    genotype = space.genotype({"kind": "b", "parts": ["p"]})
    assert genotype == Genotype(("b", None, None, ("p",), None))
    assert space.values(genotype) == {"kind": "b", "parts": ("p",)}
    assert space.active(genotype) == [0, 3]
    assert space.encode(genotype).tolist() == [0.75, 0.5, 0.5, 0.75, 0.25, 0.5]


def test_replacing_draws_what_becomes_active():
    space = conditional()
    genotype = space.genotype({"kind": "b", "parts": []})
    changed = space.replace(genotype, 0, "a", np.random.default_rng(0))
    assert changed.slots[0] == "a"
    assert changed.slots[1] is not None
    assert changed.slots[3] == ()


def test_values_are_written_as_the_domain_writes_them():
    space = DecisionSpace([Decision("r", Real(0, 2)), Decision("c", Choice((1.0, 2.0))), Decision("s", Subset((1, 2)))])
    genotype = space.genotype({"r": 1, "c": 2, "s": [1, 2]})
    assert [repr(slot) for slot in genotype] == ["1.0", "2.0", "(1, 2)"]


def test_mutation_never_fixes_itself():
    """Of two decisions both change when two shall; none changes back."""
    space = DecisionSpace([Decision("a", Choice((0, 1))), Decision("b", Choice((0, 1)))])
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert space.mutate(Genotype((0, 0)), rng, 2) == Genotype((1, 1))
        assert space.mutate(Genotype((0, 0)), rng, 9) == Genotype((1, 1))


def test_what_cannot_change_is_returned_as_it_is():
    space = DecisionSpace([Decision("a", Choice((0,))), Decision("b", Real(1, 1))])
    genotype = space.sample(np.random.default_rng(0))
    assert space.mutate(genotype, np.random.default_rng(0)) is genotype
    assert list(space.neighbours(genotype, np.random.default_rng(0))) == []


def test_samples_are_even():
    space = DecisionSpace([Decision("c", Choice(("a", "b", "c", "d")))])
    rng = np.random.default_rng(0)
    counts = np.unique([space.sample(rng).slots[0] for _ in range(4000)], return_counts=True)[1]
    assert counts.min() > 900


def decide(*decisions):
    return lambda: DecisionSpace(decisions)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            decide(Decision("a", Choice((1,))), Decision("a", Choice((1,)))),
            "the decision 'a' is there twice; paths are distinct",
        ),
        (
            decide(Decision("a", Choice((1,)), "b", (1,))),
            "the decision 'a' has the parent 'b', which is not before it",
        ),
        (
            decide(Decision("a", Choice((1,))), Decision("b", Choice((1,)), "a", (2,))),
            "the decision 'b' is active when 'a' is 2, a value it cannot have",
        ),
        (
            decide(Decision("a", Choice((1,))), Decision("b", Choice((1,)), "a", (True,))),
            "the decision 'b' is active when 'a' is True, a value it cannot have",
        ),
        (
            decide(Decision("a", Choice((1,))), Decision("b", Choice((1,)), "a")),
            "the decision 'b' has a parent but no value in 'when', so it is never active",
        ),
        (
            decide(Decision("a", Real(0, 1)), Decision("b", Choice((1,)), "a", (0.5,))),
            "the decision 'b' has the parent 'a', a real; only other domains can be",
        ),
        (lambda: conditional().index("x"), "there is no decision 'x'; there are kind, steps, rate, parts, size"),
        (lambda: conditional().decode([0.5]), "a vector of this space has 6 numbers, but got 1"),
        (lambda: conditional().validate(Genotype(("a",))), "a genotype of this space has 5 slots, but got 1"),
        (
            lambda: conditional().validate(Genotype(("c", None, None, (), None))),
            "the decision 'kind' cannot be 'c'; its domain is Choice(values=('a', 'b'))",
        ),
        (
            lambda: conditional().validate(Genotype(("b", 3, None, (), None))),
            "the genotype has a value where the decision is inactive; such slots are null",
        ),
        (
            lambda: conditional().validate(Genotype(("a", None, None, (), None))),
            "the decision 'steps' cannot be None; its domain is Integer(low=1, high=10, log=False)",
        ),
        (
            lambda: conditional().genotype({"kind": "b"}),
            "the decision 'parts' has no value; its domain is Subset(values=('p', 'q'), minimum=0, maximum=None)",
        ),
        (lambda: conditional().genotype({"kin": "b"}), "there is no decision 'kin'; there are kind, steps, rate, parts, size"),
    ],
)  # fmt: skip
def test_messages(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message
