"""What is left of the regret when a search has found the best of a table, since each query is noisy.

    python benchmarks/floor.py --table nas_bench_macro/cifar10 'nasbench201/*' --best 1 10 50 200
    python benchmarks/floor.py --table nas_bench_macro/cifar10 --best 10 50 --queries 4

A search is judged by the mean of the architecture with the best query (see regret.py).  Who has queried each of the k best architectures once, and nothing
else, has the regret that is printed: the winner is the luckiest of them, not the best.  Once a search has
queried many good architectures it is about there, and more of them do not help; one that queries few, or is lucky, can be below.  So can one that asks for the same
architecture again: `--queries` says how often each is queried (morphml's optimizers ask for each once).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import figures
import tables


def floor(bench: tables.Bench, best: int, queries: int, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """The mean regret, with its standard error, of queries of the `best` architectures, so many each."""
    losses = [[bench.objective.loss(value) for value in values] for values in bench.repeats]
    means = np.array([bench.objective.loss(mean) for mean in bench.means])
    order = np.argsort(means, kind="stable")[:best].tolist()
    found = []
    for _ in range(runs):
        drawn = [min(losses[row][place] for place in rng.integers(len(losses[row]), size=queries)) for row in order]
        found.append(float(means[order[int(np.argmin(drawn))]] - means[order[0]]))
    return figures.summary(found)


def floors(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The floor of each table, by the number of its best architectures."""
    for name in tables.matching(given.table):
        bench = tables.table(name, tables.data_folder(given.data))
        rng = np.random.default_rng(0)
        yield {
            "table": name,
            "floor": {str(best): floor(bench, best, given.queries, given.runs, rng) for best in given.best},
        }


def line(found: Mapping[str, Any]) -> str:
    """The floor of a table in words."""
    shown = (f"{best}: {each['mean']:.4g} ± {each['sem']:.2g}" for best, each in found["floor"].items())
    return "  ".join([found["table"], *shown])


def main(given: Sequence[str] | None = None) -> int:
    """Print the floor of each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--table", nargs="+", required=True, metavar="TABLE", help="a name or pattern of tables.py, or all")
    add("--best", nargs="+", type=int, default=[1, 10, 50, 200], metavar="K")
    add("--queries", type=int, default=1, help="how often each architecture is queried")
    add("--runs", type=int, default=2000)
    add("--data", metavar="FOLDER", help="where the tables are (default: MORPHML_DATA, or ../shared/data)")
    add("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(given)
    return figures.report(floors(options), line, options.json)


if __name__ == "__main__":
    sys.exit(main())
