"""A random forest that says how sure it is (Hutter, Xu, Hoos, Leyton-Brown: "Algorithm runtime prediction: methods and evaluation", 2014)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import Complaint, ConfigurationError

Array = NDArray[np.float64]


def require_trees(name: str, path: str = "optimizer") -> None:
    """Raise a `ConfigurationError` at `path` where scikit-learn is not installed: `name` is the optimizer that needs it."""
    try:
        import sklearn.tree  # noqa: F401
    except ImportError:
        message = f"the optimizer '{name}' needs scikit-learn, which is not installed; pip install 'morphml-optimizers[models]'"
        raise ConfigurationError([Complaint(path, message)]) from None


class Forest:
    """Trees that were each fitted to a bootstrap sample, looking at a share of the columns at each split.

    They are single trees of scikit-learn: its forests take longer for so few rows, and do not tell the spread within leaves.
    """

    def __init__(self, trees: int, features: float = 1.0) -> None:
        self._size = trees
        self._features = features
        self._trees: list[Any] = []
        self._varied: NDArray[np.intp] = np.arange(0)

    def fit(self, rows: Array, targets: Array, rng: np.random.Generator) -> Forest:
        """Grow the trees on rows (n, columns) and targets (n,).  Returns itself."""
        from sklearn.tree import DecisionTreeRegressor

        self._varied = np.flatnonzero(np.ptp(rows, axis=0))
        narrow = self._narrow(rows)
        wanted = np.asarray(targets, dtype=np.float64)
        weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=self._size)
        seeds: list[int] = rng.integers(2**31, size=self._size).tolist()
        self._trees = []
        for weight, seed in zip(weights, seeds, strict=True):
            drawn = np.flatnonzero(weight)
            shares = weight[drawn].astype(np.float64)
            tree = DecisionTreeRegressor(max_features=self._features, random_state=seed)
            # Checks of the input take as long as small trees.
            tree.fit(narrow[drawn], wanted[drawn], sample_weight=shares, check_input=False)
            self._trees.append(tree.tree_)
        return self

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, each of shape (len(rows),).

        By the law of total variance: the spread of what the trees say, and the mean of the spreads within their leaves.
        """
        narrow = self._narrow(rows)
        leaves = [tree.apply(narrow) for tree in self._trees]
        means = np.array([tree.value[leaf, 0, 0] for tree, leaf in zip(self._trees, leaves, strict=True)])
        within = np.array([tree.impurity[leaf] for tree, leaf in zip(self._trees, leaves, strict=True)])
        return means.mean(axis=0), np.sqrt(means.var(axis=0) + np.maximum(within, 0.0).mean(axis=0))

    def _narrow(self, rows: Array) -> NDArray[np.float32]:
        """The columns that differed among the rows it was fitted to; one where none did."""
        varied = self._varied if len(self._varied) else np.arange(1)
        return np.ascontiguousarray(rows[:, varied], dtype=np.float32)
