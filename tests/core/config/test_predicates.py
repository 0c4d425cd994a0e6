"""Constraints that are written in Python."""

import pytest

from morphml_core.config import from_mapping
from morphml_core.errors import ConfigurationError
from morphml_core.session import open_experiment

RULES = """
def small(candidate):
    return candidate.values["a"] <= 20 or f"a is {candidate.values['a']}, and must be at most 20"


def silent(candidate):
    pass


def broken(candidate):
    raise KeyError("a")


number = 3
"""


@pytest.fixture
def mapping(tmp_path):
    (tmp_path / "rules.py").write_text(RULES)
    return {
        "experiment": "rules",
        "objectives": ["score"],
        "constraints": [{"python": f"{tmp_path}/rules.py:small"}],
        "space": {"name": "parameters", "decisions": {"a": {"integer": [1, 40]}}},
        "evaluator": {"name": "function", "function": lambda candidate: {"score": candidate.values["a"]}},
        "storage": "memory",
        "hooks": [],
        "stop": {"trials": 15},
    }


def test_a_function_refuses_candidates_before_they_are_evaluated(mapping):
    with open_experiment(mapping) as experiment:
        experiment.run()
        assert experiment.best().metrics["score"] == max(trial.metrics["score"] for trial in experiment.trials())
        assert all(trial.metrics["score"] <= 20 for trial in experiment.trials())
        problem = experiment.problem
        refused = problem.decisions.genotype({"a": 33})
        assert problem.refusal(refused) == (
            f"breaks the constraint {mapping['constraints'][0]['python']}: a is 33, and must be at most 20"
        )


def test_it_is_recorded_by_its_name_and_read_again(mapping):
    configuration = from_mapping(mapping)
    assert configuration.to_json()["constraints"] == mapping["constraints"]
    assert from_mapping({**mapping, "constraints": configuration.to_json()["constraints"]}) == configuration


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("silent", "the constraint {} returned None; it must return True, False, or a sentence that says why not"),
        ("broken", "the constraint {} failed: KeyError: 'a'"),
    ],
)
def test_a_function_that_does_not_answer_is_found_before_the_search(mapping, tmp_path, name, message):
    reference = f"{tmp_path}/rules.py:{name}"
    with (
        open_experiment({**mapping, "constraints": {"python": reference}}) as experiment,
        pytest.raises(ConfigurationError) as caught,
    ):
        experiment.run()
    assert str(caught.value) == message.format(reference)


def test_what_is_no_function_is_refused(mapping, tmp_path):
    reference = f"{tmp_path}/rules.py:number"
    with pytest.raises(ConfigurationError) as caught:
        from_mapping({**mapping, "constraints": [{"python": reference}, {"python": f"{tmp_path}/rules.py:smal"}]})
    assert str(caught.value).splitlines() == [
        f"constraints[0].python: '{reference}' is 3 (a whole number), not a function; a constraint is called with a candidate",
        f"constraints[1].python: '{tmp_path}/rules.py:smal' cannot be imported: {tmp_path}/rules.py has no 'smal'; there are broken, number, silent, small",
    ]
