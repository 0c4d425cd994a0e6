"""The tables of known results that the benchmarks search, by short names such as `nasbench201/cifar10`.

    python benchmarks/tables.py [PATTERN ...] [--data FOLDER] [--json]     # lists them: genotypes, repeats, optimum

A table is a space as a user would write it, with the graphs of its networks where it has networks, and the recorded results.  Each
query of a genotype draws one of its recorded repeats by the trial's seed; `mean` is the mean over them, which a search is judged by.
Numbers on a grid are the integers of their places on it (the grids are even, on their scale), so they have an order; everything else is
a choice.  `flat` is the same space without graphs, which is what other libraries can see of it.

| tables | files below the data folder | objective | repeats |
| --- | --- | --- | --- |
| nasbench201/cifar10, cifar100 | CSV | validation accuracy after 200 epochs, % | 2 or 3 |
| nas_bench_macro/cifar10 | CSV | test accuracy, % | 3 |
| transnasbench101_micro/(seven tasks) | CSV | the task's metric, larger is better | 1 |
| nas_bench_graph/(six datasets) | NPZ | validation accuracy, a fraction | 1 (a mean) |
| hpolib_fcnet/(four datasets) | NPZ | validation mean squared error | 4 |
| hpobench_mlp/(eight datasets) | NPZ | validation accuracy, a fraction | 5 |

The data folder is `--data`, else the environment's MORPHML_DATA, else `../shared/data` beside the repository.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

import figures
import networks
from morphml_core.errors import EvaluationError, MorphMLError
from morphml_core.evaluator.table import File
from morphml_core.graph.ir import Graph
from morphml_core.graph.operations import OperationSet
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Candidate, Cause, Metrics, Objective, Task
from morphml_core.protocols import Evaluation, Workbench
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Integer
from morphml_core.space.nasbench201 import EDGES
from morphml_core.space.sets import vision
from morphml_core.space.space import Express, SearchSpace

METRIC = "value"
"""The name of the objective in every table."""

Row = Callable[[Genotype], int | None]
"""The row of a genotype; None where the table has none."""


@attrs.frozen(eq=False)
class Bench:
    """A table ready to be searched.

    `repeats[row]` are the recorded results of a row, `means[row]` their mean, `durations[row]` seconds, and `best` the best mean.
    `metrics` are further columns of the table: name to one number a row.
    """

    name: str
    space: SearchSpace
    row: Row
    objective: Objective
    repeats: Sequence[tuple[float, ...]]
    durations: Sequence[float] | None = None
    metrics: Mapping[str, NDArray[np.float64]] = attrs.field(factory=dict)
    means: Sequence[float] = attrs.field(init=False)
    best: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        means = _means(self.repeats)
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "best", min(means, key=self.objective.loss))

    @property
    def flat(self) -> Bench:
        """The same table and decisions, without graphs."""
        return attrs.evolve(self, space=SearchSpace(self.space.decisions))

    @property
    def evaluator(self) -> Lookup:
        """What evaluates trials by looking them up."""
        return Lookup(self)

    def query(self, genotype: Genotype, seed: int) -> float | None:
        """The repeat that this seed draws; None where the table has no row."""
        row = self.row(genotype)
        return None if row is None else self.repeats[row][seed % len(self.repeats[row])]

    def mean(self, genotype: Genotype) -> float:
        """The mean over the repeats of a genotype that has a row."""
        row = self.row(genotype)
        assert row is not None
        return self.means[row]

    def regret(self, genotype: Genotype) -> float:
        """How far its mean is from the best one."""
        return abs(self.best - self.mean(genotype))


def _means(repeats: Sequence[tuple[float, ...]]) -> list[float]:
    if len({len(found) for found in repeats}) == 1:
        means: list[float] = np.array(repeats).mean(axis=1).tolist()
        return means
    return [math.fsum(found) / len(found) for found in repeats]


class Lookup:
    """Evaluator of a `Bench`: in memory, with the recorded duration of each evaluation where there is one."""

    def __init__(self, bench: Bench) -> None:
        self.budget = Budget()
        self._bench = bench

    def known(self, candidate: Candidate) -> Metrics:
        """Nothing is known before."""
        return {}

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """Draw a repeat by the task's seed.  Raises `EvaluationError` (`invalid`) where the table has no such row."""
        found = self._bench.query(task.genotype, task.seed)
        if found is None:
            raise EvaluationError(Cause.INVALID, f"the table {self._bench.name} has no such row")
        return {METRIC: found}
        yield

    def duration(self, task: Task) -> float:
        """The recorded seconds; one second where the table has no times, or no such row."""
        row = self._bench.row(task.genotype)
        durations = self._bench.durations
        return 1.0 if durations is None or row is None else durations[row]


# spaces and rows --------------------------------------------------------------------------------------


class _Grid:
    """The row of a genotype of a complete table, from the places of its values: the first decision changes slowest."""

    def __init__(self, decisions: DecisionSpace, places: NDArray[Any]) -> None:
        values = [_values(decision) for decision in decisions.decisions]
        steps = list(accumulate((len(found) for found in reversed(values[1:])), int.__mul__, initial=1))[::-1]
        self._places = [
            {value: place * step for place, value in enumerate(found)}
            for found, step in zip(values, steps, strict=True)
        ]
        rows = np.full(math.prod(len(found) for found in values), -1)
        rows[places.astype(np.int64) @ np.array(steps)] = np.arange(len(places))
        self._rows: list[int] = rows.tolist()

    def __call__(self, genotype: Genotype) -> int | None:
        row = self._rows[sum(map(dict.__getitem__, self._places, genotype.slots))]
        return None if row < 0 else row


def _values(decision: Decision) -> Sequence[Any]:
    domain = decision.domain
    if isinstance(domain, Integer):
        return range(domain.low, domain.high + 1)
    assert isinstance(domain, Choice)
    return domain.values


class Remembering(SearchSpace):
    """A space that makes each graph once in a process: a whole network takes milliseconds, and many searches look at the same.

    Equal networks share one graph, so that all 15,625 genotypes of NAS-Bench-201 need no more memory than their 5,485 networks.
    """

    def __init__(
        self, decisions: DecisionSpace, express: Express, operations: OperationSet, sketch: Express | None = None
    ) -> None:
        super().__init__(decisions, express, operations, sketch)
        self._candidates: dict[Genotype, Candidate] = {}
        self._graphs: dict[str, Graph] = {}

    def express(self, genotype: Genotype) -> Candidate:
        """The candidate of a genotype."""
        found = self._candidates.get(genotype)
        if found is None:
            made = super().express(genotype)
            assert made.graph is not None
            graph = self._graphs.setdefault(made.fingerprint, made.graph)
            found = self._candidates[genotype] = attrs.evolve(made, graph=graph)
        return found


def built_in(name: str) -> SearchSpace:
    """The built-in space of that name, with its graphs."""
    space: SearchSpace = Loader().load(ComponentRef("space", name, {})).create()
    assert space.operations is not None

    def genotype(values: Mapping[str, Any]) -> Genotype:
        return Genotype([values[decision.path] for decision in space.decisions.decisions])

    def graph(values: Mapping[str, Any]) -> Graph:
        return space.raw_graph(genotype(values))

    def sketch(values: Mapping[str, Any]) -> Graph:
        found = space.sketch(genotype(values))
        assert found is not None
        return found

    return Remembering(space.decisions, graph, space.operations, sketch)


def _digits(keys: Sequence[str]) -> NDArray[np.int64]:
    return np.array([[int(digit) for digit in key] for key in keys])


def _columns(file: File, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array(file.numbers(name))[:, 0] for name in names}


# NAS-Bench-201 and NAS-Bench-Macro --------------------------------------------------------------------


def _nasbench201(name: str, folder: Path) -> Bench:
    file = File.read(folder / f"{name}.csv.gz")
    space = built_in("nasbench201")
    row = _Grid(space.decisions, _digits([line[file.index("ops")] for line in file.rows]))
    repeats = file.numbers([f"val_acc_200ep_s{seed}" for seed in range(3)])
    metrics = _columns(file, ("train_time_s", "latency_s", "val_acc_12ep"))
    durations = metrics["train_time_s"].tolist()
    return Bench(f"nasbench201/{name}", space, row, Objective(METRIC), repeats, durations, metrics)


def _macro(name: str, folder: Path) -> Bench:
    file = File.read(folder / f"{name}.csv.gz")
    space = built_in("nasbench_macro")
    row = _Grid(space.decisions, _digits([line[file.index("arch")] for line in file.rows]))
    repeats = file.numbers([f"test_acc_{seed}" for seed in range(3)])
    metrics = _columns(file, ("flops", "params"))
    return Bench(f"nas_bench_macro/{name}", space, row, Objective(METRIC), repeats, metrics=metrics)


# TransNAS-Bench-101, micro ----------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _transfer_file(folder: Path) -> File:
    return File.read(folder / "all_tasks.csv.gz")


def _transfer(name: str, folder: Path) -> Bench:
    file = _transfer_file(folder)
    decisions = DecisionSpace(
        Decision(f"cell.edge{start}_{end}", Choice(networks.TRANSFER_OPERATIONS)) for start, end in EDGES
    )
    space = Remembering(
        decisions, networks.transfer_graph, vision(), sketch=partial(networks.transfer_graph, modules=1)
    )
    row = _Grid(decisions, _digits([line[file.index("arch")] for line in file.rows]))
    return Bench(f"transnasbench101_micro/{name}", space, row, Objective(METRIC), file.numbers(name))


# NAS-Bench-Graph --------------------------------------------------------------------------------------


class _Isomorphic:
    """The row of a genotype, or of the one network of the same form that the table has."""

    def __init__(self, links: NDArray[Any], ops: NDArray[Any]) -> None:
        names = [[networks.GRAPH_OPERATIONS[number] for number in found] for found in ops.tolist()]
        pairs = zip(links.tolist(), names, strict=True)
        self._rows = {networks.layer_form(networks.LINKS[link], found): row for row, (link, found) in enumerate(pairs)}

    def __call__(self, genotype: Genotype) -> int | None:
        link, *ops = genotype.slots
        return self._rows.get(networks.layer_form(link, ops))  # type: ignore[arg-type]


def _layers(name: str, folder: Path) -> Bench:
    with _npz(folder / f"{name}.npz") as file:
        row = _Isomorphic(file["link_id"], file["ops"])
        repeats = [(value,) for value in file["valid_perf"].tolist()]
    decisions = [Decision("link", Choice(networks.LINKS))]
    decisions += [Decision(f"layer{number}", Choice(networks.GRAPH_OPERATIONS)) for number in range(1, 5)]
    space = Remembering(DecisionSpace(decisions), networks.layer_graph, networks.layers())
    return Bench(f"nas_bench_graph/{name}", space, row, Objective(METRIC), repeats)


# FCNet and the multilayer perceptrons of HPOBench -----------------------------------------------------

FCNET: Mapping[str, int | tuple[str, ...]] = {
    "activation_fn_1": ("relu", "tanh"),
    "activation_fn_2": ("relu", "tanh"),
    "batch_size": 4,
    "dropout_1": 3,
    "dropout_2": 3,
    "init_lr": 6,
    "lr_schedule": ("cosine", "const"),
    "n_units_1": 6,
    "n_units_2": 6,
}
"""The columns: choices, or how many numbers their grid has."""

MLP: Mapping[str, int | tuple[str, ...]] = {
    "alpha": 10, "batch_size": 10, "depth": 3, "learning_rate_init": 10, "width": 10,
}  # fmt: skip


def _parameters(columns: Mapping[str, int | tuple[str, ...]]) -> SearchSpace:
    return SearchSpace(
        DecisionSpace(
            Decision(name, Integer(0, found - 1) if isinstance(found, int) else Choice(found))
            for name, found in columns.items()
        )
    )


def _npz(path: Path) -> Any:
    try:
        return np.load(path)
    except FileNotFoundError:
        raise MorphMLError(f"there is no table {path.absolute()}; --data or MORPHML_DATA name its folder") from None
    except (OSError, ValueError) as error:
        raise MorphMLError(f"the table {path} cannot be read: {error}") from error


def _grid_of_numbers(family: str, result: str, goal: Any, columns: Any, name: str, folder: Path) -> Bench:
    with _npz(folder / f"{name}.npz") as file:
        places, repeats = file["config_idx"], [tuple(found) for found in file[result].tolist()]
        durations: list[float] = file["train_time_s_seed0"].tolist()
    space = _parameters(columns)
    row = _Grid(space.decisions, places)
    return Bench(f"{family}/{name}", space, row, Objective(METRIC, goal), repeats, durations)


# all of them ------------------------------------------------------------------------------------------

FAMILIES: Mapping[str, tuple[Callable[[str, Path], Bench], tuple[str, ...]]] = {
    "nasbench201": (_nasbench201, ("cifar10", "cifar100")),
    "nas_bench_macro": (_macro, ("cifar10",)),
    "transnasbench101_micro": (
        _transfer,
        ("jigsaw", "class_object", "class_scene", "room_layout", "segmentsemantic", "normal", "autoencoder"),
    ),
    "nas_bench_graph": (_layers, ("cora", "citeseer", "pubmed", "photo", "computers", "arxiv")),
    "hpolib_fcnet": (
        partial(_grid_of_numbers, "hpolib_fcnet", "val_loss", "minimize", FCNET),
        ("protein_structure", "parkinsons_telemonitoring", "naval_propulsion", "slice_localization"),
    ),
    "hpobench_mlp": (
        partial(_grid_of_numbers, "hpobench_mlp", "val_acc", "maximize", MLP),
        ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle"),
    ),
}

NAMES = tuple(f"{family}/{name}" for family, (_, names) in FAMILIES.items() for name in names)
"""The 28 tables."""


def matching(patterns: Sequence[str]) -> list[str]:
    """The names that match: a name, a pattern such as 'hpobench_mlp/*', or `all`.  Raises `MorphMLError` for what matches none."""
    found: list[str] = []
    for pattern in patterns:
        names = [name for name in NAMES if pattern == "all" or fnmatchcase(name, pattern)]
        if not names:
            raise MorphMLError(f"there is no table '{pattern}'; there are {', '.join(NAMES)}, and all")
        found += [name for name in names if name not in found]
    return found


def data_folder(given: str | None = None) -> Path:
    """Where the tables are: what is given, else MORPHML_DATA, else ../shared/data beside the repository."""
    return Path(given or os.environ.get("MORPHML_DATA") or Path(__file__).parents[2] / "shared" / "data")


@lru_cache(maxsize=4)
def table(name: str, data: Path | None = None) -> Bench:
    """The table of that name, read from the folder `data`.  Raises `MorphMLError` where there is none, or it cannot be read."""
    (name,) = matching([name])
    family, _, short = name.partition("/")
    read, _ = FAMILIES[family]
    return read(short, (data or data_folder()) / family)


def listed(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What there is to know of each table before it is searched."""
    for name in matching(given.table):
        found = table(name, data_folder(given.data))
        yield {
            "table": name,
            "genotypes": math.prod(decision.domain.size or 1 for decision in found.space.decisions.decisions),
            "rows": len(found.repeats),
            "repeats": sorted({len(each) for each in found.repeats}),
            "goal": found.objective.goal,
            "best": found.best,
        }


def line(found: Mapping[str, Any]) -> str:
    """One table in words."""
    counts = f"{found['genotypes']:>6} genotypes  {found['rows']:>6} rows  repeats {found['repeats']}"
    return f"{found['table']:<40} {counts}  {found['goal']} {found['best']:.6g}"


def main() -> int:
    """List the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="*", default=["all"], metavar="PATTERN")
    parser.add_argument("--data", metavar="FOLDER", help="where the tables are")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    return figures.report(listed(given), line, given.json)


if __name__ == "__main__":
    sys.exit(main())
