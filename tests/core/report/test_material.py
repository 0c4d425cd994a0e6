import attrs

from morphml_core.problem import Constraint, Objective, Problem, TrialState
from morphml_core.report.material import best_so_far, kind, measured, thin


def test_best_so_far_leaves_out_failures_early_stops_repeats_and_broken_constraints(material):
    problem, trials = material.problem, material.trials
    numbers, values = best_so_far(problem, trials, problem.objectives[0])
    assert values == sorted(values)
    for number in numbers:
        trial = trials[number]
        assert trial.state is TrialState.FINISHED
        assert trial.repeat_of is None
        assert problem.violation(trial) == 0
    valid = [
        t.metrics["accuracy"]
        for t in trials
        if t.state is TrialState.FINISHED and t.repeat_of is None and problem.violation(t) == 0
    ]
    assert values[-1] == max(valid)


def test_best_so_far_of_an_objective_to_minimize_goes_down(material):
    _, values = best_so_far(material.problem, material.trials, material.problem.objectives[1])
    assert values == sorted(values, reverse=True)


def test_nothing_is_best_where_every_trial_breaks_a_constraint(material):
    strict = Problem(material.problem.space, [Objective("accuracy")], [Constraint.parse("parameters <= 1")])
    assert best_so_far(strict, material.trials, Objective("accuracy")) == ([], [])


def test_thin_keeps_what_it_must_and_about_the_limit(material):
    kept = thin(material.trials, frozenset({1, 59}), 10)
    assert {1, 59} <= {trial.number for trial in kept}
    assert len(kept) <= 12
    assert thin(material.trials, frozenset(), 1000) == list(material.trials)


def test_kinds_and_measurements(material):
    first = material.trials[0]
    assert kind(first) == "finished"
    assert kind(attrs.evolve(first, duplicate_of=3)) == "duplicate"
    assert kind(attrs.evolve(first, repeat_of=3)) == "repeat"
    assert kind(material.trials[7]) == "failed"
    assert not measured(material.trials[7], "accuracy")
    assert not measured(attrs.evolve(first, metrics={"accuracy": float("nan")}), "accuracy")
