"""`SpaceSuite` holds for a plain space, and catches what breaks its promises."""

from __future__ import annotations

import threading

import attrs
import numpy as np
import pytest

from morphml_core.graph.ir import GraphBuilder
from morphml_core.operations.vision import vision
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing import SpaceSuite

from .probe import failing

DECISIONS = (
    Decision("channels", Choice((4, 8, 16))),
    Decision("act", Choice(("relu", "gelu"))),
    Decision("hyperparameters.rate", Real(0, 1)),
    Decision("hyperparameters.decay", Real(0, 1), "act", ("relu",)),
)


def draw(values):
    build = GraphBuilder()
    state = build.add("conv", build.add("input"), channels=values["channels"])
    build.add("output", build.add(values["act"], state))
    return build.graph()


class Sound(SearchSpace):
    def __init__(self, decisions=DECISIONS, express=draw):
        super().__init__(DecisionSpace(decisions), express, vision())


class TestSound(SpaceSuite):
    @pytest.fixture
    def make(self):
        return Sound


class Random(Sound):
    """Draws a part of the network at random."""

    rng = np.random.default_rng(0)

    def express(self, genotype):
        candidate = super().express(genotype)
        return attrs.evolve(candidate, hyperparameters={"rate": self.rng.random()})


class Careless(Sound):
    """Leaves the hyperparameters out of the fingerprint."""

    def express(self, genotype):
        candidate = super().express(genotype)
        return attrs.evolve(candidate, fingerprint=candidate.fingerprint.partition("-")[0])


class Scattered(Sound):
    """Gives one candidate many fingerprints."""

    def express(self, genotype):
        found = super().express(Genotype((4, "gelu", 0.5, None)))
        return attrs.evolve(found, fingerprint=repr(genotype), values=self.decisions.values(genotype))


class Shapeless(Sound):
    """Draws networks that fit no data."""

    def __init__(self):
        super().__init__(express=lambda values: draw({**values, "channels": -1}))


class Bound(Sound):
    """Holds something that cannot travel."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Nowhere(Sound):
    """Names no operations for the graphs it makes."""

    def __init__(self):
        super().__init__()

    def express(self, genotype):
        self.operations = vision()
        candidate = super().express(genotype)
        self.operations = None
        return candidate


class Forgetful(Sound):
    """Draws one sketch for two networks."""

    def sketch(self, genotype):
        return draw({**self.decisions.values(genotype), "act": "relu"})


class Fickle(Sound):
    """Draws two sketches of one network."""

    def sketch(self, genotype):
        values = self.decisions.values(genotype)
        channels = values["channels"] + (values["hyperparameters.rate"] > 0.5)
        return draw({**values, "channels": channels})


class Broken(DecisionSpace):
    """Mutates into nothing else, and decodes outside its domains."""

    def mutate(self, genotype, rng, count=1):
        return genotype

    def decode(self, vector):
        return Genotype(tuple("?" for _ in self.decisions))

    def neighbours(self, genotype, rng):
        yield genotype

    def crossover(self, first, second, rng):
        return self.sample(rng)


class Unsteady(Sound):
    """Its decisions do not keep their promises."""

    def __init__(self):
        super().__init__()
        self.decisions = Broken(DECISIONS)


@pytest.mark.parametrize(
    ("space", "caught"),
    [
        (Random, {"expressing_is_pure", "it_travels_to_another_process"}),
        (Careless, {"equal_fingerprints_are_equal_candidates"}),
        (Scattered, {"equal_fingerprints_are_equal_candidates", "a_sketch_tells_networks_apart"}),
        (Shapeless, {"graphs_are_json_and_can_be_lowered"}),
        (Bound, {"it_travels_to_another_process"}),
        (Nowhere, {"graphs_are_json_and_can_be_lowered", "a_sketch_tells_networks_apart"}),
        (Forgetful, {"a_sketch_tells_networks_apart"}),
        (Fickle, {"a_sketch_tells_networks_apart"}),
        (
            Unsteady,
            {
                "a_genotype_survives_its_vector",
                "any_vector_is_a_genotype",
                "a_mutation_changes_something_and_stays_valid",
                "neighbours_differ_in_one_decision",
                "a_crossover_is_valid",
            },
        ),
    ],
)
def test_what_is_wrong_is_caught(space, caught, tmp_path):
    assert failing(SpaceSuite, space, tmp_path) == caught


def test_a_suite_without_make_says_what_it_needs():
    with pytest.raises(NotImplementedError) as caught:
        SpaceSuite.make.__wrapped__(SpaceSuite())
    assert str(caught.value) == "a SpaceSuite needs a fixture 'make' that returns a function of () to a space"
