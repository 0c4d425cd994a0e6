"""How much each decision matters for an objective.

With scikit-learn: a random forest learns the objective from the decisions, and each decision's values are shuffled
among held-out trials (permutation importance: Breiman, 2001); half of the squared error that this adds is the
decision's total share of the variance, with its interactions (Gregorutti, Michel and Saint-Pierre, 2017).  Without it: the share of the variance that the decision explains on its own
(epsilon squared of a one-way analysis of variance: Kelley, 1935), which sees no interactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.problem import Objective, Problem, Trial
from morphml_core.report.material import compared
from morphml_core.space.domains import Choice

Floats = NDArray[np.float64]

_FEWEST = 10
_MOST = 2000
_FEW = 500  # with so few trials, each third is held out once
_BINS = 8


@attrs.frozen
class Importance:
    """Importance by decision path, largest first, with the method in words."""

    objective: str
    method: str
    values: Mapping[str, float]


def importance(problem: Problem, trials: Sequence[Trial], objective: Objective) -> Importance | None:
    """The importance of each decision that varies; None with fewer than ten finished trials, or where nothing varies."""
    rows = _distinct(trials, objective)
    target = np.array([trial.metrics[objective.name] for trial in rows])
    if len(rows) < _FEWEST or np.ptp(target) == 0:
        return None
    columns = _columns(problem, rows)
    if not columns:
        return None
    learn = _forest if find_spec("sklearn") else _variance
    method, found = learn(columns, target)
    ranked = sorted(found.items(), key=lambda item: -item[1])
    return Importance(objective.name, method, dict(ranked))


def _distinct(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Finished trials, each candidate once, evenly thinned to a number that is quick to learn from."""
    rows = compared(trials, objective.name)
    if len(rows) > _MOST:
        rows = [rows[int(index)] for index in np.linspace(0, len(rows) - 1, _MOST)]
    return rows


def _columns(problem: Problem, rows: Sequence[Trial]) -> dict[str, Floats]:
    """For each decision that varies, an array of shape (trials, features): one-hot for choices; -1 where inactive."""
    vectors = np.stack([problem.decisions.encode(trial.genotype) for trial in rows])
    columns, start = {}, 0
    for index, decision in enumerate(problem.decisions.decisions):
        block = vectors[:, start : start + decision.domain.width]
        start += decision.domain.width
        inactive = np.array([trial.genotype.slots[index] is None for trial in rows])
        if isinstance(decision.domain, Choice):
            block = (np.floor(block * decision.domain.size) == np.arange(decision.domain.size)).astype(float)
        block = np.where(inactive[:, None], -1.0, block)
        if np.any(block != block[0]):
            columns[decision.path] = block
    return columns


def _forest(columns: Mapping[str, Floats], target: Floats) -> tuple[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    features = np.hstack(list(columns.values()))
    ends = np.cumsum([block.shape[1] for block in columns.values()])
    spans = [(int(end) - block.shape[1], int(end)) for end, block in zip(ends, columns.values(), strict=True)]
    parts = np.array_split(rng.permutation(len(target)), 3)
    held = parts if len(target) <= _FEW else parts[:1]
    rounds = [_round(features, target, part, spans, rng) for part in held]
    variance = 2 * max(float(np.var(target)), 1e-300)
    base = float(np.mean([unexplained for unexplained, _ in rounds]))
    shares = np.maximum(np.mean([added for _, added in rounds], axis=0) / variance, 0.0)
    known = max(1 - base / float(np.var(target)), 0.0)
    method = (
        "The share of the variance that each decision explains, interactions counted: permutation importance of a random forest. "
        f"The forest explains {known:.0%} of the variance among held-out trials"
        + ("; read this chart with care." if known < 0.3 else ".")
    )
    return method, dict(zip(columns, shares.tolist(), strict=True))


def _round(
    features: Floats,
    target: Floats,
    held: NDArray[np.int64],
    spans: Sequence[tuple[int, int]],
    rng: np.random.Generator,
) -> tuple[float, list[float]]:
    """Learn from all but the held-out rows: the squared error on those, and what shuffling each decision adds to it."""
    from sklearn.ensemble import RandomForestRegressor

    used = np.setdiff1d(np.arange(len(target)), held)
    forest = RandomForestRegressor(100, min_samples_leaf=2, max_features=0.5, random_state=0).fit(
        features[used], target[used]
    )
    base = float(np.mean((forest.predict(features[held]) - target[held]) ** 2))
    added = [
        float(np.mean([_shuffled(forest, features[held], target[held], span, rng) for _ in range(3)])) - base
        for span in spans
    ]
    return base, added


def _shuffled(
    forest: object, features: Floats, target: Floats, span: tuple[int, int], rng: np.random.Generator
) -> float:
    changed = features.copy()
    changed[:, span[0] : span[1]] = changed[rng.permutation(len(changed)), span[0] : span[1]]
    return float(np.mean((forest.predict(changed) - target) ** 2))  # type: ignore[attr-defined]


def _variance(columns: Mapping[str, Floats], target: Floats) -> tuple[str, dict[str, float]]:
    method = (
        "Share of the variance that each decision explains on its own (epsilon squared; interactions are not seen). "
        "With scikit-learn installed, a random forest is used."
    )
    return method, {path: _epsilon_squared(_groups(block), target) for path, block in columns.items()}


def _groups(block: Floats) -> NDArray[np.int64]:
    """A group number for each row: equal rows, or equally filled bins where there are many values."""
    groups = np.unique(block, axis=0, return_inverse=True)[1].reshape(-1)
    if block.shape[1] == 1 and groups.max() >= _BINS:
        edges = np.quantile(block[:, 0], np.linspace(0, 1, _BINS + 1)[1:-1])
        groups = np.searchsorted(edges, block[:, 0])
    return np.asarray(groups, dtype=np.int64)


def _epsilon_squared(groups: NDArray[np.int64], target: Floats) -> float:
    counts = np.bincount(groups)
    sums = np.bincount(groups, target)
    within = float(np.sum((target - (sums / np.maximum(counts, 1))[groups]) ** 2))
    total = float(np.sum((target - target.mean()) ** 2))
    free = len(target) - int(np.count_nonzero(counts))
    if free <= 0:
        return 0.0
    return max(1 - (within / free) / (total / (len(target) - 1)), 0.0)
