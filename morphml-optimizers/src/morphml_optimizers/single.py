"""For optimizers that follow one objective: the refusal of several."""

from __future__ import annotations

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.problem import Problem


def single_objective(problem: Problem, name: str, path: str = "optimizer") -> None:
    """Raise a `ConfigurationError` at `path` where the problem has several objectives: `name` is the optimizer that follows one."""
    if len(problem.objectives) > 1:
        names = ", ".join(objective.name for objective in problem.objectives)
        message = (
            f"the optimizer '{name}' follows one objective, but there are {len(problem.objectives)} ({names}); "
            "wrap it in 'parego', or choose one that follows several, like 'nsga2'"
        )
        raise ConfigurationError([Complaint(path, message)])
