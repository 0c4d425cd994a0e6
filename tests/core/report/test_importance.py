import pytest

from morphml_core.problem import Objective, Problem
from morphml_core.report import importance as module
from morphml_core.report.importance import importance
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Real
from morphml_core.space.space import SearchSpace

ACCURACY = Objective("accuracy")


def test_the_forest_finds_the_decision_that_rules(material):
    pytest.importorskip("sklearn")
    found = importance(material.problem, material.trials, ACCURACY)
    assert next(iter(found.values)) == "hyperparameters.learning_rate"
    assert found.method.startswith(
        "The share of the variance that each decision explains, interactions counted: permutation importance of a random forest. The forest explains "
    )
    assert all(0 <= share <= 1.5 for share in found.values.values())


def test_without_scikit_learn_the_variance_is_split(material, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    found = importance(material.problem, material.trials, ACCURACY)
    assert next(iter(found.values)) == "hyperparameters.learning_rate"
    assert found.method == (
        "Share of the variance that each decision explains on its own (epsilon squared; interactions are not seen). "
        "With scikit-learn installed, a random forest is used."
    )
    assert 0.5 < found.values["hyperparameters.learning_rate"] <= 1


def test_too_few_trials_have_no_importance(make_search):
    search = make_search(9)
    assert importance(search.problem, list(search.state.trials.values()), ACCURACY) is None


def test_a_metric_that_nobody_has_has_no_importance(material):
    assert importance(material.problem, material.trials, Objective("absent")) is None


def test_decisions_with_one_value_have_no_importance(make_search):
    space = SearchSpace(DecisionSpace([Decision("fixed", Real(1, 1))]))
    problem = Problem(space, [ACCURACY])
    assert importance(problem, [], ACCURACY) is None
