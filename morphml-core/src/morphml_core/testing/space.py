"""What every search space promises: `SpaceSuite`."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pytest

from morphml_core.errors import GraphError
from morphml_core.graph.canonical import effective
from morphml_core.graph.ir import Graph
from morphml_core.graph.operations import Signature
from morphml_core.problem import Candidate
from morphml_core.protocols import Sketched, Space
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Real

Make = Callable[[], Space]


class SpaceSuite:
    """Tests of one space.  Give it a fixture `make` that returns a function of () to the space.

    `signature` is the data that its networks are built for; `samples` how many random genotypes each test looks at.
    """

    signature = Signature((3, 32, 32), 10)
    samples = 20

    @pytest.fixture
    def make(self) -> Make:
        """A function of () to the space."""
        raise NotImplementedError("a SpaceSuite needs a fixture 'make' that returns a function of () to a space")

    def _drawn(self, space: Space, seed: int = 0) -> list[Genotype]:
        rng = np.random.default_rng(seed)
        return [space.decisions.sample(rng) for _ in range(self.samples)]

    def _candidates(self, space: Space) -> list[tuple[Genotype, Candidate]]:
        """The samples that are candidates; the others raise `GraphError`."""
        found = []
        for genotype in self._drawn(space):
            with contextlib.suppress(GraphError):
                found.append((genotype, space.express(genotype)))
        assert found, "not one sample of the space is a candidate"
        return found

    def test_samples_are_valid(self, make: Make) -> None:
        """`validate` accepts every sample, and one generator always gives the same."""
        space = make()
        drawn = self._drawn(space)
        for genotype in drawn:
            space.decisions.validate(genotype)
        assert self._drawn(make()) == drawn

    def test_a_genotype_survives_its_vector(self, make: Make) -> None:
        """`decode` undoes `encode`; vectors have `dimensions` numbers in [0, 1]."""
        decisions = make().decisions
        for genotype in self._drawn(make()):
            vector = decisions.encode(genotype)
            assert vector.shape == (decisions.dimensions,)
            assert ((vector >= 0) & (vector <= 1)).all()
            _assert_close(decisions, decisions.decode(vector), genotype)

    def test_any_vector_is_a_genotype(self, make: Make) -> None:
        """`decode` is total: whatever the numbers, also infinite ones and NaN, the genotype is valid."""
        decisions = make().decisions
        rng = np.random.default_rng(1)
        for _ in range(self.samples):
            vector = rng.normal(0.5, 1.0, decisions.dimensions)
            vector[rng.random(decisions.dimensions) < 0.1] = rng.choice([math.nan, math.inf, -math.inf, 0.0, 1.0])
            decisions.validate(decisions.decode(vector))

    def test_a_genotype_survives_its_values(self, make: Make) -> None:
        """`genotype` undoes `values`."""
        decisions = make().decisions
        for genotype in self._drawn(make()):
            assert decisions.genotype(decisions.values(genotype)) == genotype

    def test_a_mutation_changes_something_and_stays_valid(self, make: Make) -> None:
        """A mutation is another valid genotype, wherever a decision can change at all."""
        decisions, rng = make().decisions, np.random.default_rng(2)
        for genotype in self._drawn(make()):
            for count in (1, 2):
                mutated = decisions.mutate(genotype, rng, count)
                decisions.validate(mutated)
                assert (mutated != genotype) == bool(decisions.mutable(genotype))

    def test_a_crossover_is_valid(self, make: Make) -> None:
        """A child is valid, and its values are its parents' where they agree."""
        decisions, rng = make().decisions, np.random.default_rng(3)
        drawn = self._drawn(make())
        for first, second in itertools.pairwise(drawn):
            child = decisions.crossover(first, second, rng)
            decisions.validate(child)
            assert decisions.crossover(first, first, rng) == first
            for one, two, both in zip(first, second, child, strict=True):
                assert both in (one, two)

    def test_neighbours_differ_in_one_decision(self, make: Make) -> None:
        """A neighbour differs in one decision, and in those that the change makes active or inactive."""
        decisions, rng = make().decisions, np.random.default_rng(4)
        for genotype in self._drawn(make())[:5]:
            for neighbour in decisions.neighbours(genotype, rng):
                decisions.validate(neighbour)
                pairs = list(zip(genotype, neighbour, strict=True))
                assert sum(one != two and one is not None and two is not None for one, two in pairs) == 1

    def test_expressing_is_pure(self, make: Make) -> None:
        """A genotype always gives the same candidate, in another instance too, and its values are the active decisions."""
        space, other = make(), make()
        for genotype, candidate in self._candidates(space):
            assert space.express(genotype) == candidate == other.express(genotype)
            assert candidate.values == space.decisions.values(genotype)

    def test_equal_fingerprints_are_equal_candidates(self, make: Make) -> None:
        """Candidates have one fingerprint exactly where network and hyperparameters are the same."""
        seen: dict[str, Any] = {}
        for genotype, candidate in self._candidates(make()):
            assert candidate.fingerprint
            key = (candidate.graph, sorted(candidate.hyperparameters.items()))
            assert seen.setdefault(candidate.fingerprint, key) == key, f"two candidates share a fingerprint: {genotype}"
        assert len(seen) == len({repr(key) for key in seen.values()})

    def test_graphs_are_json_and_can_be_lowered(self, make: Make) -> None:
        """Each graph survives JSON, and gets shapes or raises `GraphError`; some sample gets them."""
        from morphml_core.graph.shapes import lower

        space, lowered = make(), 0
        for _, candidate in self._candidates(space):
            if candidate.graph is None:
                continue
            assert space.operations is not None, "a space that makes graphs names their operations"
            assert Graph.from_json(candidate.graph.to_json()) == candidate.graph
            with contextlib.suppress(GraphError):
                lowered += len(lower(candidate.graph, space.operations, self.signature).nodes) > 0
        assert lowered or space.operations is None, f"no sample can be built for {self.signature}"

    def test_a_sketch_tells_networks_apart(self, make: Make) -> None:
        """Where the space draws sketches (`Sketched`): two networks are equal exactly where their sketches are, neighbours too."""
        space = make()
        if not isinstance(space, Sketched) or space.operations is None:
            return
        rng, networks, sketches = np.random.default_rng(1), dict[Graph, Graph](), dict[Graph, Graph]()
        for genotype in self._drawn(space)[: self.samples // 4 + 1]:
            near = itertools.islice(space.decisions.neighbours(genotype, rng), self.samples)
            for other in (genotype, *near):
                with contextlib.suppress(GraphError):
                    network = space.express(other).graph
                    drawn = space.sketch(other)
                    assert network is not None
                    assert drawn is not None
                    sketch = effective(drawn, space.operations)
                    assert networks.setdefault(network, sketch) == sketch, f"equal networks, two sketches: {other}"
                    assert sketches.setdefault(sketch, network) == network, f"equal sketches, two networks: {other}"

    def test_it_travels_to_another_process(self, make: Make) -> None:
        """The space can be pickled by cloudpickle, and is the same afterwards."""
        space = make()
        copy = cloudpickle.loads(cloudpickle.dumps(space))
        genotype, candidate = self._candidates(space)[0]
        assert copy.express(genotype) == candidate


def _assert_close(decisions: DecisionSpace, found: Genotype, expected: Genotype) -> None:
    """Equal, but for rounding in real decisions."""
    for decision, one, two in zip(decisions.decisions, found, expected, strict=True):
        if isinstance(decision.domain, Real) and isinstance(one, float) and isinstance(two, float):
            assert one == pytest.approx(two, rel=1e-9, abs=1e-9), decision.path
        else:
            assert one == two, decision.path
