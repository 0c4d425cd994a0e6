"""The share of the front of a table of known results that an optimizer finds.

    pip install -r benchmarks/requirements.txt
    python benchmarks/hypervolume.py --data ../shared/data --optimizer nsga2 moead --evaluations 500 --runs 50 --json

Two problems: NAS-Bench-201 on CIFAR-10 (error, latency), and NAS-Bench-Macro (error, FLOPs, parameters).  Errors are means over the
recorded seeds, so an architecture has one result.  One evaluation runs at a time: ask for one, tell it.  Losses are scaled
to [0, 1] by the least and greatest of the table, the reference point is 1.1 in each, and the share is the hypervolume of all that
was evaluated over that of the whole table.  Printed are the mean over the runs and its standard error.
`--peers` adds NSGA-II, NSGA-III and MOEA/D of pymoo on the same tables (pip install pymoo), with its own defaults for integers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import attrs
import moocore
import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import MorphMLError
from morphml_core.evaluator.table import File
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Objective, Problem, Trial, TrialState
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice
from morphml_core.space.space import SearchSpace

Array = NDArray[np.float64]
REFERENCE = 1.1


@attrs.frozen
class Source:
    """A table: its file below the data folder, the column of keys, those of the accuracy (one a seed), and of what else is minimized."""

    path: str
    key: str
    accuracy: tuple[str, ...]
    costs: tuple[str, ...]


SOURCES: Mapping[str, Source] = {
    "nasbench201": Source(
        "nasbench201/cifar10.csv.gz", "ops", tuple(f"val_acc_200ep_s{seed}" for seed in range(3)), ("latency_s",)
    ),
    "macro": Source(
        "nas_bench_macro/cifar10.csv.gz", "arch", tuple(f"test_acc_{seed}" for seed in range(3)), ("flops", "params")
    ),
}


@attrs.frozen(eq=False)
class Bench:
    """A table ready to be searched: scaled losses of each key, the values of each digit, and the hypervolume of the whole."""

    names: tuple[str, ...]
    losses: Mapping[str, tuple[float, ...]]
    digits: Sequence[Sequence[str]]
    volume: float

    def space(self) -> SearchSpace:
        """One choice a digit."""
        return SearchSpace(DecisionSpace(Decision(f"digit{n}", Choice(tuple(d))) for n, d in enumerate(self.digits)))


def volume(losses: Sequence[Sequence[float]] | Array) -> float:
    """The hypervolume of scaled losses."""
    return float(moocore.hypervolume(np.asarray(losses, dtype=float), ref=REFERENCE))


@lru_cache(maxsize=4)
def bench(data: str, name: str) -> Bench:
    """Read a table.  Raises `MorphMLError` where the file or a column is missing."""
    source = SOURCES[name]
    file = File.read(Path(data) / source.path)
    keys = [row[file.index(source.key)] for row in file.rows]
    errors = [100.0 - statistics.fmean(found) for found in file.numbers(list(source.accuracy))]
    costs = [[found[0] for found in file.numbers([column])] for column in source.costs]
    table = np.array([errors, *costs]).T
    low, high = table.min(axis=0), table.max(axis=0)
    scaled = (table - low) / (high - low)
    digits = [sorted({key[place] for key in keys}) for place in range(len(keys[0]))]
    losses = {key: tuple(row) for key, row in zip(keys, scaled.tolist(), strict=True)}
    return Bench(("error", *source.costs), losses, digits, volume(scaled))


def searched(table: Bench, optimizer: ComponentRef, evaluations: int, seed: int) -> list[tuple[float, ...]]:
    """The losses of one search, in order."""
    goals = [Objective(name, "minimize") for name in table.names]
    problem = Problem(table.space(), goals, seed=seed, trials=evaluations)
    made = Loader().load(optimizer).create(problem)
    found: list[tuple[float, ...]] = []
    for number in range(evaluations):
        proposals = made.ask([number], [])
        if not proposals:
            break
        genotype = proposals[0].genotype
        found.append(table.losses["".join(str(slot) for slot in genotype)])
        metrics = dict(zip(table.names, found[-1], strict=True))
        trial = Trial(number, genotype, TrialState.FINISHED, metrics=metrics, origin=proposals[0].origin)
        made.tell([trial])
    return found


def searched_by_pymoo(table: Bench, name: str, evaluations: int, seed: int) -> list[tuple[float, ...]]:
    """The losses of one search by pymoo, in order, of its first `evaluations` evaluations."""
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    found: list[tuple[float, ...]] = []

    class Digits(ElementwiseProblem):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            upper = [len(digits) - 1 for digits in table.digits]
            super().__init__(n_var=len(upper), n_obj=len(table.names), xl=0, xu=upper, vtype=int)

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            key = "".join(digits[int(value)] for digits, value in zip(table.digits, x, strict=True))
            found.append(table.losses[key])
            out["F"] = table.losses[key]

    minimize(Digits(), _pymoo(name, len(table.names)), ("n_eval", evaluations), seed=seed)
    return found[:evaluations]


def _pymoo(name: str, objectives: int) -> Any:
    from pymoo.algorithms.moo.moead import MOEAD
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.util.ref_dirs import get_reference_directions

    repair = RoundingRepair()
    crossover, mutation = SBX(vtype=float, repair=repair), PM(vtype=float, repair=repair)
    common = {"sampling": IntegerRandomSampling(), "crossover": crossover, "mutation": mutation}
    parts = {2: 39, 3: 7}[objectives]  # 40 and 36 directions
    directions = get_reference_directions("das-dennis", objectives, n_partitions=parts)
    if name == "nsga2":
        return NSGA2(pop_size=40, eliminate_duplicates=True, **common)
    if name == "nsga3":
        return NSGA3(directions, pop_size=40, eliminate_duplicates=True, **common)
    return MOEAD(directions, n_neighbors=10, prob_neighbor_mating=0.9, **common)


Search = Callable[[Bench, int, int], list[tuple[float, ...]]]


def _ours(optimizer: ComponentRef, table: Bench, evaluations: int, seed: int) -> list[tuple[float, ...]]:
    return searched(table, optimizer, evaluations, seed)


def _theirs(name: str, table: Bench, evaluations: int, seed: int) -> list[tuple[float, ...]]:
    return searched_by_pymoo(table, name, evaluations, seed)


def shares(search: Search, data: str, name: str, at: Sequence[int], seed: int) -> list[float]:
    """The share of the hypervolume that one search has found after each number of evaluations."""
    table = bench(data, name)
    found = search(table, at[-1], seed)
    return [volume(found[:count]) / table.volume for count in at]


def measure(
    label: str, search: Search, given: argparse.Namespace, name: str, pool: ProcessPoolExecutor
) -> dict[str, Any]:
    """The result of one table and optimizer."""
    at = sorted({count for count in (100, 200, given.evaluations) if count <= given.evaluations})
    one = partial(shares, search, given.data, name, at)
    runs = list(pool.map(one, range(given.runs), chunksize=max(1, given.runs // 8)))
    share = {str(count): summary([run[index] for run in runs]) for index, count in enumerate(at)}
    return {"table": name, "optimizer": label, "runs": given.runs, "share": share}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard error of the mean."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return {"mean": round(statistics.fmean(values), 5), "sem": round(error, 5)}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", metavar="FOLDER", help="where the tables are")
    parser.add_argument("--table", nargs="+", choices=sorted(SOURCES), default=list(SOURCES))
    parser.add_argument("--optimizer", nargs="+", action="extend", default=[], metavar="NAME")
    parser.add_argument("--peers", nargs="*", choices=("nsga2", "nsga3", "moead"), default=[], help="of pymoo")
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def line(result: Mapping[str, Any]) -> str:
    """One result in words."""
    figures = "  ".join(f"{n}: {found['mean']:.4f} ± {found['sem']:.4f}" for n, found in result["share"].items())
    return f"{result['table']}  {result['optimizer']}  ({result['runs']} runs)  {figures}"


def main() -> int:
    """Print a result for each table and optimizer."""
    given = arguments().parse_args()
    try:
        ours = [Loader().load(ComponentRef("optimizer", name)).ref for name in given.optimizer]
        searches: dict[str, Search] = {ref.name: partial(_ours, ref) for ref in ours}
        searches |= {f"pymoo {name}": partial(_theirs, name) for name in given.peers}
        for name in given.table:
            bench(given.data, name)
        with ProcessPoolExecutor(given.processes) as pool:
            for name in given.table:
                for label, search in searches.items():
                    result = measure(label, search, given, name, pool)
                    print(json.dumps(result) if given.json else line(result), flush=True)
    except MorphMLError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
