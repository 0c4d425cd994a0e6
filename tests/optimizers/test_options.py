"""Options of every optimizer that is registered, as a configuration gives them: a search with it works, or a sentence says where and why not."""

from __future__ import annotations

import math
from importlib.metadata import entry_points

import attrs
import pytest

from morphml_core.config import resolve_mapping
from morphml_core.errors import ConfigurationError
from morphml_core.session import check, search

OPTIMIZERS = sorted(entry.name for entry in entry_points(group="morphml.optimizer"))
ODD = (-1, 0, 1, 10**6, -0.5, 1.5, math.inf, math.nan, "many", True)
SPACE = {
    "name": "parameters",
    "decisions": {"a": {"integer": [1, 6]}, "b": {"choice": ["x", "y"]}, "c": {"real": [0, 1]}},
}


def measure(candidate):
    return {"value": candidate.values["a"] - candidate.values["c"], "cost": float(candidate.values["a"])}


def configuration(optimizer, objectives=("value",)):
    return {
        "experiment": "x", "objectives": list(objectives), "space": SPACE, "optimizer": optimizer, "stop": {"trials": 30},
        "evaluator": {"name": "function", "function": measure, "epochs": 9}, "storage": "memory", "hooks": [],
    }  # fmt: skip


def complaint(optimizer, objectives=("value",)):
    """What validation says, or None."""
    try:
        check(resolve_mapping(configuration(optimizer, objectives)))
    except ConfigurationError as error:
        return str(error)
    return None


def options(name):
    [entry] = entry_points(group="morphml.optimizer", name=name)
    return [field.name for field in attrs.fields(entry.load().config) if field.init]


def runs(optimizer):
    given = configuration(optimizer)
    space, evaluator = given.pop("space"), given.pop("evaluator")
    return search(space, evaluator, **{**given, "stop": 4})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_odd_values_are_refused_with_the_path_of_the_option_or_work(name):
    for option in options(name):
        for value in ODD if option != "optimizer" else ():
            found = complaint({"name": name, option: value})
            if found is None:
                assert runs({"name": name, option: value}).trials()
                continue
            where, _, message = found.partition(": ")
            assert where.split(".")[0] == "optimizer"
            assert option in message
            assert f"optimizer '{name}'" in message


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_option_that_it_does_not_have(name):
    assert complaint({"name": name, "populatoin": 3}).startswith(
        f"optimizer.populatoin: optimizer '{name}' has no option 'populatoin'; "
    )


@pytest.mark.parametrize("wrapper", OPTIMIZERS)
def test_what_is_wrapped_has_paths_of_its_own(wrapper):
    if "optimizer" not in options(wrapper):
        pytest.skip("it wraps no other")

    def of(inner):
        return complaint({"name": wrapper, "optimizer": inner})

    assert of({"name": "genetic", "population": -3}) == (
        "optimizer.optimizer.population: optimizer 'genetic': 'population' must be >= 2: -3"
    )
    assert of({"name": "genetic", "population": 3}) == (
        "optimizer.optimizer: optimizer 'genetic': 'tournament' must be <= population (3): 5"
    )
    assert of("genetc") == "optimizer.optimizer: there is no optimizer 'genetc'; did you mean 'genetic'?"
    assert of({"name": "genetic", "sise": 3}) == (
        "optimizer.optimizer.sise: optimizer 'genetic' has no option 'sise'; it has population, tournament, elites, crossover"
    )
    assert of(3) == (
        f"optimizer.optimizer: optimizer '{wrapper}': 'optimizer' must be the name of an optimizer, or a mapping with 'name', "
        "but it is 3 (a whole number)"
    )


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"name": "genetic", "population": 3}, "optimizer: optimizer 'genetic': 'tournament' must be <= population (3): 5"),
        ({"name": "genetic", "population": 4, "elites": 4, "tournament": 2}, "optimizer.elites: optimizer 'genetic': 'elites' must be < population (4): 4"),
        ({"name": "regularized_evolution", "population": 3}, "optimizer: optimizer 'regularized_evolution': 'sample' must be <= population (3): 5"),
        ({"name": "simulated_annealing", "hot": 0.5, "cold": 0.6}, "optimizer.cold: optimizer 'simulated_annealing': 'cold' must be <= hot (0.5): 0.6"),
        ({"name": "simulated_annealing", "hot": math.inf}, "optimizer.hot: optimizer 'simulated_annealing': 'hot' must be < inf: inf"),
        (
            {"name": "moead", "population": 4},
            "optimizer: optimizer 'moead': 'neighbours' is 5, but 'population' is 4; there are no more neighbours than weight vectors",
        ),
        (
            {"name": "parego", "optimizer": {"name": "parego"}},
            "optimizer.optimizer: 'parego' cannot wrap 'parego': what it wraps sees one objective; name an optimizer of one objective",
        ),
        (
            {"name": "parego", "optimizer": "asha"},
            "optimizer.optimizer: 'parego' cannot wrap 'asha', which gives trials budgets of its own; name an optimizer that only proposes, such as 'random'",
        ),
        (
            {"name": "hyperband", "optimizer": {"name": "parego", "optimizer": {"name": "successive_halving"}}},
            "optimizer.optimizer.optimizer: 'parego' cannot wrap 'successive_halving', which gives trials budgets of its own; name an optimizer that only proposes, such as 'random'",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_options_that_do_not_go_together(optimizer, message):
    assert complaint(optimizer) == message


def test_a_wrapped_optimizer_of_one_objective_is_refused_at_its_place():
    found = complaint({"name": "asha", "optimizer": "hill_climbing"}, ["value", "cost"])
    assert found == (
        "optimizer.optimizer: the optimizer 'hill_climbing' follows one objective, but there are 2 (value, cost); "
        "wrap it in 'parego', or choose one that follows several, like 'nsga2'"
    )


def test_an_optimizer_of_several_objectives_in_parego_has_one():
    assert complaint({"name": "parego", "optimizer": "nsga2"}, ["value", "cost"]) is None
