import numpy as np

from morphml_core.errors import GraphError
from morphml_core.graph.operations import Signature
from morphml_core.operations.vision import vision
from morphml_core.space.check import impossible
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice
from morphml_core.space.language import choice, op, repeat, space
from morphml_core.space.parameters import Config, create
from morphml_core.space.space import SearchSpace

IMAGES = Signature((1, 8, 8), 10)
HALVE = op("max_pool", kernel=2, stride=2)


def rng():
    return np.random.default_rng(0)


def test_a_space_that_fits():
    assert impossible(space([op("conv", channels=8), HALVE]), IMAGES, rng()) is None


def test_one_network_that_fits_is_enough():
    assert impossible(space(repeat(HALVE, choice(3, 4, 5, 6, 7, 8))), IMAGES, rng()) is None


def test_the_error_that_was_met_most_is_named():
    searched = space(repeat(HALVE, choice(4, 5, 6)))
    assert impossible(searched, IMAGES, rng(), tries=20) == (
        "no network of this space fits samples of shape 1 x 8 x 8: none of 20 drawn at random could be built; "
        "20 times: node 4 (max_pool): a kernel of 2 is larger than its input of 1 with padding 0 on both sides"
    )


def test_a_space_that_draws_no_graph_at_all():
    def refuse(values):
        raise GraphError("there is no such network")

    searched = SearchSpace(DecisionSpace([Decision("a", Choice((1, 2)))]), refuse, vision())
    assert impossible(searched, IMAGES, rng(), tries=5) == (
        "no network of this space fits samples of shape 1 x 8 x 8: none of 5 drawn at random could be built; "
        "5 times: there is no such network"
    )


def test_plain_parameters_always_fit():
    assert impossible(create(Config({"x": {"real": [0, 1]}})), IMAGES, rng()) is None
