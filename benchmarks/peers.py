"""Other libraries on the same tables: each search asks for one configuration, is told its result, and so on.

A peer gets the space as its users would write it: choices as categories, places on a grid as integers.  Where an algorithm takes
numbers only (CMA-ES, differential evolution, particle swarms) choices are the integers of their places, too.  Everything is minimized.
Settings are the library's own defaults, but for these: pymoo's populations are 20 (its 100 would be all that is evaluated),
`optuna-tpe-univariate` samples each decision by itself, SMAC is told that results are deterministic (so that it evaluates nothing
twice), and `synetune-rea-20` is Syne Tune's regularized evolution with a population of 20 and tournaments of 5, as ours has by default.

    pip install -r benchmarks/requirements.txt
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from morphml_core.errors import MorphMLError
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Integer

Tell = Callable[[Genotype], float | None]
"""Evaluates the next trial: its loss, or None where the evaluation fails."""


class Over(Exception):  # noqa: N818  (no error: all evaluations are done)
    """Raised by `Tell` when all evaluations are done."""


def search(name: str, decisions: DecisionSpace, tell: Tell, evaluations: int, seed: int) -> None:
    """Search until `tell` raises `Over`, or the peer has nothing more to propose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Over):
            PEERS[name](decisions, tell, evaluations, seed)


def check(names: Sequence[str]) -> None:
    """Raise `MorphMLError` for a peer that is not known or not installed."""
    for name in names:
        if name not in PEERS:
            raise MorphMLError(f"there is no peer '{name}'; there are {', '.join(PEERS)}")
        package = {"optuna": "optuna", "smac": "smac", "pymoo": "pymoo", "synetune": "syne_tune"}[
            name.partition("-")[0]
        ]
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MorphMLError(
                f"the peer '{name}' needs {package}: {error}; pip install -r benchmarks/requirements.txt"
            ) from error


def _places(decisions: DecisionSpace) -> Iterator[tuple[str, int, int]]:
    """The path of each decision, and the least and greatest number of its values."""
    for decision in decisions.decisions:
        domain = decision.domain
        if isinstance(domain, Integer):
            yield decision.path, domain.low, domain.high
        else:
            assert isinstance(domain, Choice)
            yield decision.path, 0, domain.size - 1


def _genotype(decisions: DecisionSpace, numbers: Sequence[float]) -> Genotype:
    """The genotype of the number of each decision."""
    pairs = zip(decisions.decisions, numbers, strict=True)
    return Genotype([_value(decision.domain, round(float(number))) for decision, number in pairs])


def _value(domain: Any, number: int) -> Any:
    return number if isinstance(domain, Integer) else domain.values[number]


# Optuna -----------------------------------------------------------------------------------------------


def _optuna(
    sampler: str, options: Mapping[str, Any], numbers: bool, decisions: DecisionSpace, tell: Tell, evaluations: int, seed: int
) -> None:  # fmt: skip
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed, **options))
    while True:
        trial = study.ask()
        slots = []
        for decision, (path, low, high) in zip(decisions.decisions, _places(decisions), strict=True):
            if isinstance(decision.domain, Choice) and not numbers:
                slots.append(trial.suggest_categorical(path, decision.domain.values))
            else:
                slots.append(_value(decision.domain, trial.suggest_int(path, low, high)))
        loss = tell(Genotype(slots))
        if loss is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, loss)


# SMAC -------------------------------------------------------------------------------------------------


def _smac(decisions: DecisionSpace, tell: Tell, evaluations: int, seed: int) -> None:
    from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformIntegerHyperparameter
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue
    from smac.runhistory.enumerations import StatusType

    logging.getLogger("smac").setLevel(logging.ERROR)
    space = ConfigurationSpace(seed=seed)
    for decision in decisions.decisions:
        domain, path = decision.domain, decision.path
        if isinstance(domain, Integer):
            space.add(UniformIntegerHyperparameter(path, domain.low, domain.high))
        else:
            assert isinstance(domain, Choice)
            space.add(CategoricalHyperparameter(path, domain.values))
    with tempfile.TemporaryDirectory(prefix="smac-") as folder:
        scenario = Scenario(space, deterministic=True, n_trials=evaluations, seed=seed, output_directory=folder)
        facade = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=logging.ERROR
        )
        while True:
            info = facade.ask()
            loss = tell(Genotype([_plain(info.config[decision.path]) for decision in decisions.decisions]))
            status = StatusType.CRASHED if loss is None else StatusType.SUCCESS
            facade.tell(info, TrialValue(cost=math.inf if loss is None else loss, status=status), save=False)


def _plain(value: Any) -> Any:
    """A plain string or number for one of numpy's."""
    return value.item() if isinstance(value, np.generic) else value


# Syne Tune --------------------------------------------------------------------------------------------


def _synetune(
    scheduler: str, options: Mapping[str, Any], decisions: DecisionSpace, tell: Tell, evaluations: int, seed: int
) -> None:
    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import choice, randint
    from syne_tune.optimizer import baselines

    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    np.random.seed(seed)  # noqa: NPY002  (its regularized evolution draws its first population from the global generator)
    space = {}
    for decision in decisions.decisions:
        domain = decision.domain
        space[decision.path] = (
            randint(domain.low, domain.high) if isinstance(domain, Integer) else choice(list(domain.values))  # type: ignore[union-attr]
        )
    made = getattr(baselines, scheduler)(space, metric="loss", do_minimize=True, random_seed=seed, **options)
    number = 0
    while (suggestion := made.suggest()) is not None:
        trial = Trial(trial_id=number, config=suggestion.config, creation_time=None)
        made.on_trial_add(trial)
        loss = tell(Genotype([_plain(suggestion.config[decision.path]) for decision in decisions.decisions]))
        if loss is None:
            made.on_trial_error(trial)
        else:
            made.on_trial_complete(trial, {"loss": loss})
        number += 1


# pymoo ------------------------------------------------------------------------------------------------


def _pymoo(kind: str, decisions: DecisionSpace, tell: Tell, evaluations: int, seed: int) -> None:
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    worst = [0.0]

    def loss_of(genotype: Genotype) -> float:
        loss = tell(genotype)
        worst[0] = worst[0] if loss is None else max(worst[0], loss)
        return 10.0 * abs(worst[0]) + 1.0 if loss is None else loss

    class Mixed(ElementwiseProblem):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__(vars=_pymoo_variables(decisions), n_obj=1)

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = loss_of(Genotype([_plain(x[decision.path]) for decision in decisions.decisions]))

    class Numbers(ElementwiseProblem):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            places = list(_places(decisions))
            super().__init__(
                n_var=len(places), n_obj=1, xl=[low for _, low, _ in places], xu=[high for *_, high in places]
            )

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = loss_of(_genotype(decisions, x))

    problem = Mixed() if kind == "ga" else Numbers()
    minimize(problem, _pymoo_algorithm(kind), ("n_eval", 10 * evaluations), seed=seed)


def _pymoo_variables(decisions: DecisionSpace) -> dict[str, Any]:
    from pymoo.core import variable

    return {
        decision.path: variable.Integer(bounds=(decision.domain.low, decision.domain.high))
        if isinstance(decision.domain, Integer)
        else variable.Choice(options=list(decision.domain.values))  # type: ignore[union-attr]
        for decision in decisions.decisions
    }


def _pymoo_algorithm(kind: str) -> Any:
    from pymoo.algorithms.soo.nonconvex.de import DE
    from pymoo.algorithms.soo.nonconvex.pso import PSO
    from pymoo.core.mixed import MixedVariableGA
    from pymoo.operators.repair.rounding import RoundingRepair

    if kind == "ga":
        return MixedVariableGA(pop_size=20)
    return {"de": DE, "pso": PSO}[kind](pop_size=20, repair=RoundingRepair())


Search = Callable[[DecisionSpace, Tell, int, int], None]

PEERS: Mapping[str, Search] = {
    "optuna-tpe": partial(_optuna, "TPESampler", {}, False),
    "optuna-tpe-univariate": partial(_optuna, "TPESampler", {"multivariate": False}, False),
    "optuna-nsga2": partial(_optuna, "NSGAIISampler", {}, False),
    "optuna-cmaes": partial(_optuna, "CmaEsSampler", {}, True),
    "smac": _smac,
    "pymoo-ga": partial(_pymoo, "ga"),
    "pymoo-de": partial(_pymoo, "de"),
    "pymoo-pso": partial(_pymoo, "pso"),
    "synetune-rea": partial(_synetune, "REA", {}),
    "synetune-rea-20": partial(_synetune, "REA", {"population_size": 20, "sample_size": 5}),
    "synetune-cqr": partial(_synetune, "CQR", {}),
    "synetune-bore": partial(_synetune, "BORE", {}),
}
"""The peers by name."""
