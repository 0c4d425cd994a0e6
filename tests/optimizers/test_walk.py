"""What hill_climbing and simulated_annealing have in common: where a walk begins, and options below one."""

from __future__ import annotations

import re

import pytest

from morphml_core.problem import Proposal
from morphml_core.testing.problems import failed, problem, sampled
from morphml_optimizers import hill_climbing, simulated_annealing


def named(value):
    return getattr(value, "__name__", str(value)).rpartition(".")[2]


@pytest.mark.parametrize("module", [hill_climbing, simulated_annealing], ids=named)
def test_a_failed_start_is_not_climbed_from(module, made):
    given = problem("flat")
    optimizer = made(module, given)
    (trial,) = sampled(given, 1)
    optimizer.tell([failed(given, 0, Proposal(trial.genotype, origin="start"))])
    assert {proposal.origin for proposal in optimizer.ask(range(500, 510), [])} == {"start"}


@pytest.mark.parametrize(
    ("module", "option"),
    [
        (hill_climbing, "mutations"),
        (hill_climbing, "patience"),
        (simulated_annealing, "mutations"),
        (simulated_annealing, "cooling"),
    ],
    ids=named,
)
def test_options_below_one(module, option):
    with pytest.raises(ValueError, match=re.escape(f"'{option}' must be >= 1: 0")):
        module.Config(**{option: 0})
