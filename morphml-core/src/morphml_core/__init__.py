"""MorphML finds neural network architectures.

The names below load their modules on first use, so that `import morphml_core` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morphml_core.errors import ConfigurationError, MorphMLError
    from morphml_core.problem import Budget, Candidate, Constraint, Objective, Problem, Proposal, Task, Trial
    from morphml_core.session import Experiment, open_experiment, search
    from morphml_core.space.decisions import DecisionSpace, Genotype

__version__ = "0.1.0"

_HOMES = {
    "Budget": "problem",
    "Candidate": "problem",
    "ConfigurationError": "errors",
    "Constraint": "problem",
    "DecisionSpace": "space.decisions",
    "Experiment": "session",
    "Genotype": "space.decisions",
    "MorphMLError": "errors",
    "Objective": "problem",
    "Problem": "problem",
    "Proposal": "problem",
    "Task": "problem",
    "Trial": "problem",
    "open_experiment": "session",
    "search": "session",
}

__all__ = [  # noqa: RUF022 - in the order of _HOMES, with the version last
    "Budget",
    "Candidate",
    "ConfigurationError",
    "Constraint",
    "DecisionSpace",
    "Experiment",
    "Genotype",
    "MorphMLError",
    "Objective",
    "Problem",
    "Proposal",
    "Task",
    "Trial",
    "open_experiment",
    "search",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'morphml_core' has no attribute '{name}'")
    value = getattr(import_module(f"morphml_core.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
