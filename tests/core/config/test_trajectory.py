import json

import pytest

from morphml_core.config import difference, from_mapping
from morphml_core.plugins.hooks import Context
from morphml_core.problem import Constraint, Objective

BASE = {
    "experiment": "a",
    "objectives": ["accuracy"],
    "space": {"name": "cnn", "widths": [8, 16]},
    "evaluator": {"name": "train", "epochs": 3},
    "optimizer": {"name": "random"},
    "stop": {"trials": 5},
}


def trajectory(**changes):
    found = {key: value for key, value in (BASE | changes).items() if value is not None}
    return json.loads(json.dumps(from_mapping(found).trajectory()))


def test_it_is_plain_json():
    assert trajectory() == {
        "space": {"name": "cnn", "widths": [8, 16]}, "evaluator": {"name": "train", "epochs": 3}, "optimizer": {"name": "random"},
        "stopper": None, "objectives": [{"name": "accuracy", "goal": "maximize"}], "constraints": [], "seed": 0,
        "reproducible": None, "deduplicate": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"stop": {"trials": 9}}, {"executor": {"name": "processes", "workers": 2}}, {"hooks": []}, {"trial": {"timeout": 5}},
        {"output": "x"}, {"storage": "memory"}, {"finalists": {"top": 1, "repeats": 1}}, {"cache": "memory"},
    ],
)  # fmt: skip
def test_what_may_change(changes):
    assert difference(trajectory(), trajectory(**changes)) == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seed": 3}, "'seed' was 0 and is now 3"),
        ({"deduplicate": False}, "'deduplicate' was true and is now false"),
        ({"space": {"name": "cnn", "widths": [8, 32]}}, "'space.widths[1]' was 16 and is now 32"),
        ({"space": {"name": "cnn", "widths": [8]}}, "'space.widths' was [8, 16] and is now [8]"),
        ({"evaluator": "train"}, "'evaluator.epochs' was 3 and is now not set"),
        ({"stopper": "median"}, '\'stopper\' was not set and is now {"name": "median"}'),
        ({"space": {"name": "cnn", "widths": list(range(40))}}, "'space.widths' was [8, 16] and is now a list"),
        (
            {"seed": 1, "optimizer": "x", "objectives": ["loss"]},
            "'optimizer.name' was 'random' and is now 'x'; 'objectives[0].name' was 'accuracy' and is now 'loss'; 'seed' was 0 and is now 1",
        ),
        (
            {"optimizer": {"name": "random", **{f"o{index}": 1 for index in range(7)}}},
            "; ".join(f"'optimizer.o{index}' was not set and is now 1" for index in range(5)) + "; and 2 more",
        ),
    ],
)
def test_what_may_not_change(changes, text):
    assert difference(trajectory(), trajectory(**changes)) == text


class Space:
    decisions = ()


def test_live_objects_are_named():
    assert trajectory(space=Space())["space"] == {"python": f"{__name__}:Space"}
    assert trajectory(space={"python": "a.py:b", "c": 1})["space"] == {"python": "a.py:b", "c": 1}


def test_what_listeners_get_to_know():
    found = from_mapping(BASE | {"constraints": ["parameters <= 5"], "stop": {"time": "1m", "target": 0.9}})
    assert found.context() == Context(
        "a", (Objective("accuracy"),), (Constraint("parameters", "<=", 5.0),), None, None, 60.0, 0.9, found.output, found.to_json()
    )  # fmt: skip


@pytest.mark.parametrize("bound", ["1234567", "1e300", "0.1", "-3.25", "inf", "123456789012345678"])
def test_bounds_are_kept_to_the_last_digit(bound):
    found = from_mapping(BASE | {"constraints": [f"parameters <= {bound}"]})
    again = from_mapping(json.loads(json.dumps(found.to_json())))
    assert again.constraints == found.constraints == (Constraint("parameters", "<=", float(bound)),)
    assert again.to_json() == found.to_json()


def test_a_bound_that_changed_a_little():
    text = difference(
        trajectory(constraints=["parameters <= 1234567"]), trajectory(constraints=["parameters <= 1234568"])
    )
    assert text == "'constraints[0]' was 'parameters <= 1234567' and is now 'parameters <= 1234568'"
