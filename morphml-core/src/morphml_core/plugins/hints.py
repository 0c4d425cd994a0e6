"""Which distribution of ours has which component or command: for the hint "pip install ..." only.  A test compares it with theirs."""

from __future__ import annotations

from collections.abc import Mapping

COMPONENTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "morphml-distributed": {
        "command": ("chaos", "cluster", "worker"),
        "executor": ("dask", "grpc", "ray", "simulated_cluster"),
        "scheduler": ("adaptive", "fifo", "load_balancing", "priority", "round_robin", "work_stealing"),
    },
    "morphml-optimizers": {
        "optimizer": (
            "asha",
            "auto",
            "bananas",
            "bohb",
            "cma_es",
            "dehb",
            "differential_evolution",
            "gaussian_process",
            "genetic",
            "grid",
            "hill_climbing",
            "hyperband",
            "local_search",
            "moead",
            "nsga2",
            "nsga3",
            "parego",
            "pso",
            "quasi_random",
            "random_forest",
            "regularized_evolution",
            "reinforce",
            "simulated_annealing",
            "successive_halving",
            "tpe",
        ),
    },
}
"""Names by distribution and kind."""


def distribution_of(kind: str, name: str) -> str | None:
    """The distribution of ours that has a component, or None."""
    return next((owner for owner, kinds in COMPONENTS.items() if name in kinds.get(kind, ())), None)


def names(kind: str) -> list[str]:
    """The names of a kind that distributions of ours have."""
    return [name for kinds in COMPONENTS.values() for name in kinds.get(kind, ())]
