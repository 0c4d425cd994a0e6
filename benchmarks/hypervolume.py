"""The share of the front of a table of known results that an optimizer finds.

    pip install -r benchmarks/requirements.txt
    python benchmarks/hypervolume.py --optimizer nsga2 moead --evaluations 500 --runs 50 --json
    python benchmarks/hypervolume.py --optimizer nsga2 --options population=40 --peers nsga2 --output results

Two problems: NAS-Bench-201 on CIFAR-10 (error, latency), and NAS-Bench-Macro (error, FLOPs, parameters).  Errors are means over the
recorded seeds, so an architecture has one result.  One evaluation runs at a time: ask for one, tell it.  Losses are scaled
to [0, 1] by the least and greatest of the table, the reference point is 1.1 in each, and the share is the hypervolume of all that
was evaluated over that of the whole table.  Printed are the mean over the runs and its standard error.

`--peers` adds NSGA-II, NSGA-III and MOEA/D of pymoo on the same tables (pip install pymoo): populations of 40 (MOEA/D: one for each of 40
directions, or 36 with three objectives, and neighbourhoods of 10), and its operators for numbers, rounded to integers.
`--output FOLDER` keeps every run, so that later ones add to them, and writes `summary.json` and `hypervolume.png`, with 95 % bands.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import attrs
import moocore
import numpy as np
from numpy.typing import NDArray

import figures
import tables
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Objective, Problem, Trial, TrialState
from morphml_core.space.decisions import Genotype
from morphml_core.space.domains import Choice
from morphml_core.space.space import SearchSpace
from regret import optimizers

Array = NDArray[np.float64]
REFERENCE = 1.1


@attrs.frozen
class Source:
    """A table of tables.py, and which of its columns are minimized beside the error."""

    table: str
    costs: tuple[str, ...]


SOURCES: Mapping[str, Source] = {
    "nasbench201": Source("nasbench201/cifar10", ("latency_s",)),
    "macro": Source("nas_bench_macro/cifar10", ("flops", "params")),
}


@attrs.frozen(eq=False)
class Bench:
    """A table ready to be searched: its space, the row of a genotype, scaled losses of each row, and the hypervolume of the whole."""

    names: tuple[str, ...]
    space: SearchSpace
    row: tables.Row
    losses: Sequence[tuple[float, ...]]
    volume: float

    def look(self, genotype: Any) -> tuple[float, ...]:
        """The losses of a genotype."""
        row = self.row(genotype)
        assert row is not None
        return self.losses[row]


def volume(losses: Sequence[Sequence[float]] | Array) -> float:
    """The hypervolume of scaled losses."""
    return float(moocore.hypervolume(np.asarray(losses, dtype=float), ref=REFERENCE))


@lru_cache(maxsize=4)
def bench(data: Path, name: str) -> Bench:
    """Read a table.  Raises `MorphMLError` where the file or a column is missing."""
    source = SOURCES[name]
    found = tables.table(source.table, data)
    table = np.array([100.0 - np.array(found.means), *(found.metrics[cost] for cost in source.costs)]).T
    low, high = table.min(axis=0), table.max(axis=0)
    scaled = (table - low) / (high - low)
    losses = [tuple(row) for row in scaled.tolist()]
    return Bench(("error", *source.costs), found.space, found.row, losses, volume(scaled))


def searched(optimizer: ComponentRef, table: Bench, evaluations: int, seed: int) -> list[tuple[float, ...]]:
    """The losses of one search, in order."""
    goals = [Objective(name, "minimize") for name in table.names]
    problem = Problem(table.space, goals, seed=seed, trials=evaluations)
    made = Loader().load(optimizer).create(problem)
    found: list[tuple[float, ...]] = []
    for number in range(evaluations):
        proposals = made.ask([number], [])
        if not proposals:
            break
        genotype = proposals[0].genotype
        found.append(table.look(genotype))
        metrics = dict(zip(table.names, found[-1], strict=True))
        trial = Trial(number, genotype, TrialState.FINISHED, metrics=metrics, origin=proposals[0].origin)
        made.tell([trial])
    return found


def searched_by_pymoo(name: str, table: Bench, evaluations: int, seed: int) -> list[tuple[float, ...]]:
    """The losses of one search by pymoo, in order, of its first `evaluations` evaluations."""
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    found: list[tuple[float, ...]] = []
    choices = [
        decision.domain.values for decision in table.space.decisions.decisions if isinstance(decision.domain, Choice)
    ]

    class Digits(ElementwiseProblem):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            upper = [len(values) - 1 for values in choices]
            super().__init__(n_var=len(upper), n_obj=len(table.names), xl=0, xu=upper, vtype=int)

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            found.append(table.look(Genotype(values[int(place)] for values, place in zip(choices, x, strict=True))))
            out["F"] = found[-1]

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
"""The losses of one search of a table, in order, from how many evaluations and a seed."""


@attrs.frozen
class Method:
    """An optimizer of ours with its options, or a peer."""

    name: str
    options: Mapping[str, Any]
    search: Search


def shares(search: Search, data: Path, name: str, at: Sequence[int], seed: int) -> list[tuple[int, float]]:
    """The share of the hypervolume that one search has found after each number of evaluations."""
    table = bench(data, name)
    found = search(table, at[-1], seed)
    return [(count, volume(found[:count]) / table.volume) for count in at]


def measure(
    method: Method,
    data: Path,
    name: str,
    at: Sequence[int],
    seeds: range,
    pool: ProcessPoolExecutor,
    output: Path | None,
) -> figures.Runs:
    """The runs of one method on one table, of which those of the folder are not repeated."""
    runs = figures.Runs(name, method.name, at[-1], dict(method.options)).load(output)
    missing = [seed for seed in seeds if [count for count, _ in runs.curves.get(seed, [])] != list(at)]
    one = partial(shares, method.search, data, name, at)
    for seed, curve in zip(missing, pool.map(one, missing), strict=True):
        runs.curves[seed] = curve
    runs.save(output)
    return runs


def result_of(runs: figures.Runs, at: Sequence[int]) -> dict[str, Any]:
    """What is printed of some runs."""
    share = {str(count): figures.summary(runs.at(count)) for count in at}
    return {
        "table": runs.table,
        "optimizer": runs.method,
        "options": runs.options,
        "runs": len(runs.curves),
        "share": share,
    }


def write_summary(folder: Path, at: Sequence[int]) -> None:
    """Write `summary.json`, and `hypervolume.png` where matplotlib is installed, of all that the folder holds."""
    panels: dict[str, list[figures.Line]] = {}
    results = []
    for runs in figures.kept(folder):
        x = sorted(set.intersection(*({count for count, _ in curve} for curve in runs.curves.values())))
        results.append(result_of(runs, [count for count in at if count <= runs.evaluations]))
        curves = [[1.0 - figures.value_at(curve, count) for count in x] for curve in runs.curves.values()]
        panels.setdefault(runs.table, []).append(figures.line_of(runs.label, x, curves, "pymoo" in runs.method))
    (folder / "summary.json").write_text(json.dumps({"at": list(at), "results": results}, indent=1))
    figures.plot(folder / "hypervolume.png", panels, "evaluations", "share not found", log_x=True, log_y=True)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", metavar="FOLDER", help="where the tables are (default: MORPHML_DATA, or ../shared/data)")
    add("--table", nargs="+", choices=sorted(SOURCES), default=list(SOURCES))
    add("--optimizer", nargs="+", action="extend", default=[], metavar="NAME")
    add("--options", nargs="*", action="extend", default=[], metavar="K=V", help="for the optimizers that have them")
    add("--peers", nargs="*", choices=("nsga2", "nsga3", "moead"), default=[], help="of pymoo")
    add("--evaluations", type=int, default=500)
    add("--runs", type=int, default=50)
    add("--processes", type=int, default=2)
    add("--output", type=Path, metavar="FOLDER", help="keep the runs here, and write summary.json and hypervolume.png")
    add("--json", action="store_true", help="one JSON object a line")
    return parser  # fmt: skip


def line(result: Mapping[str, Any]) -> str:
    """One result in words."""
    shown = "  ".join(f"{n}: {found['mean']:.4f} ± {found['sem']:.4f}" for n, found in result["share"].items())
    name = figures.label(result["optimizer"], result["options"])
    return f"{result['table']}  {name}  ({result['runs']} runs)  {shown}"


def methods(given: argparse.Namespace) -> list[Method]:
    """The optimizers and peers that the command line names."""
    ours = [Method(ref.name, ref.options, partial(searched, ref)) for ref in optimizers(given)]
    return ours + [Method(f"pymoo {name}", {}, partial(searched_by_pymoo, name)) for name in given.peers]


def results(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A result for each table and optimizer; the summary of the folder is written after the last."""
    data, wanted = tables.data_folder(given.data), methods(given)
    at = sorted({count for count in (100, 200, given.evaluations) if count <= given.evaluations})
    drawn = sorted({*at, *(count for count in (25, 50, 75, 150, 300, 400) if count < given.evaluations)})
    for name in given.table:
        bench(data, name)
    with ProcessPoolExecutor(given.processes) as pool:
        for name in given.table:
            for method in wanted:
                yield result_of(measure(method, data, name, drawn, range(given.runs), pool, given.output), at)
    if given.output:
        write_summary(given.output, at)


def main() -> int:
    """Print a result for each table and optimizer."""
    given = arguments().parse_args()
    return figures.report(results(given), line, given.json)


if __name__ == "__main__":
    sys.exit(main())
