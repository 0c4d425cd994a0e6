"""What is left of the regret when a search has found the best of a table, since each query is noisy.

    python benchmarks/floor.py --table nas_bench_macro/cifar10 'nasbench201/*' --best 1 10 50 200

A search is judged by the mean of the architecture with the best query (see regret.py).  Who has queried each of the k best architectures once, and nothing
else, has the regret that is printed: the winner is the luckiest of them, not the best.  An optimizer that finds good architectures sooner cannot go
below it, and one that finds fewer of them can seem better.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import numpy as np

import tables
from figures import summary
from morphml_core.errors import MorphMLError


def floor(bench: tables.Bench, best: int, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """The mean regret, with its standard error, of queries of the `best` architectures, one each."""
    losses = [[bench.objective.loss(value) for value in values] for values in bench.repeats]
    means = np.array([np.mean(values) for values in losses])
    order = np.argsort(means, kind="stable")[:best].tolist()
    found = []
    for _ in range(runs):
        drawn = [losses[row][rng.integers(len(losses[row]))] for row in order]
        found.append(float(means[order[int(np.argmin(drawn))]] - means[order[0]]))
    return summary(found)


def main(given: Sequence[str] | None = None) -> int:
    """Print a line for each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", required=True, help="a name or pattern of tables.py, or all")
    parser.add_argument("--best", nargs="+", type=int, default=[1, 10, 50, 200], metavar="K")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--data", help="where the tables are (default: MORPHML_DATA, or ../shared/data)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(given)
    try:
        for name in tables.matching(options.table):
            bench = tables.table(name, tables.data_folder(options.data))
            rng = np.random.default_rng(0)
            held = {str(best): floor(bench, best, options.runs, rng) for best in options.best}
            words = "  ".join(f"{best}: {found['mean']:.4g} ± {found['sem']:.2g}" for best, found in held.items())
            print(json.dumps({"table": name, "floor": held}) if options.json else f"{name}  {words}", flush=True)
    except MorphMLError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
