"""The tables of known results that the benchmarks search, by short names such as `nasbench201/cifar10`.

    python benchmarks/tables.py [PATTERN ...] [--data FOLDER]      # lists them: genotypes, repeats, optimum

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import EvaluationError, MorphMLError
from morphml_core.evaluator.table import File
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.graph.operations import Cost, Operation, OperationSet
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
    metrics = _columns(file, ("train_time_s", "latency_s", "params_m", "val_acc_12ep"))
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

TRANSFER_OPERATIONS = ("none", "skip_connect", "conv_1x1", "conv_3x3")
"""What an edge can be; the position is the digit in the table."""


def _relu_conv_norm(build: GraphBuilder, source: int, channels: int, kernel: int, stride: int) -> int:
    active = build.add("relu", source)
    return build.add("batch_norm", build.add("conv", active, channels=channels, kernel=kernel, stride=stride))


def _edge(build: GraphBuilder, op: str, source: int, channels: int, stride: int) -> int:
    if op == "none":
        return build.add("zero", source, stride=stride)
    if op == "skip_connect":
        if stride == 1:
            return build.add("identity", source)
        return build.add("batch_norm", build.add("factorized_reduce", build.add("relu", source), channels=channels))
    return _relu_conv_norm(build, source, channels, 1 if op == "conv_1x1" else 3, stride)


def _cell(build: GraphBuilder, source: int, channels: int, stride: int, values: Mapping[str, Any]) -> int:
    nodes = [source]
    for target in range(1, 4):
        edges = [
            _edge(build, values[f"cell.edge{start}_{end}"], nodes[start], channels, 1 if start else stride)
            for start, end in EDGES
            if end == target
        ]
        nodes.append(build.add("add", *edges) if len(edges) > 1 else edges[0])
    return nodes[-1]


def transfer_graph(values: Mapping[str, Any], modules: int = 5) -> Graph:
    """The network `64-41414` of a cell: five modules of two cells, of which the first, third and fifth halve the size.

    The first cell of these does it in the edges from its first node, so that a skip connection there is no identity but a factorized
    reduction (Duan et al., CVPR 2021, and the code of its authors).
    """
    build = GraphBuilder()
    channels = 64
    state = build.add("conv", build.add("input"), channels=channels // 2, kernel=3, stride=2)
    state = _relu_conv_norm(build, build.add("batch_norm", state), channels, 3, 2)
    for module in range(modules):
        stride = 1 if module % 2 else 2
        channels *= stride
        state = _cell(build, state, channels, stride, values)
        state = _cell(build, state, channels, 1, values)
    build.add("output", state)
    return build.graph()


@lru_cache(maxsize=2)
def _transfer_file(folder: Path) -> File:
    return File.read(folder / "all_tasks.csv.gz")


def _transfer(name: str, folder: Path) -> Bench:
    file = _transfer_file(folder)
    decisions = DecisionSpace(Decision(f"cell.edge{start}_{end}", Choice(TRANSFER_OPERATIONS)) for start, end in EDGES)
    space = Remembering(decisions, transfer_graph, vision(), sketch=partial(transfer_graph, modules=1))
    row = _Grid(decisions, _digits([line[file.index("arch")] for line in file.rows]))
    return Bench(f"transnasbench101_micro/{name}", space, row, Objective(METRIC), file.numbers(name))


# NAS-Bench-Graph --------------------------------------------------------------------------------------

GRAPH_OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""What a layer can be; the position is the number in the table."""

LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
"""Which node each of the four layers reads (0: the raw input, 1: the first layer, ...); the position is the number in the table."""


def _layer(name: str) -> Operation:
    """A graph convolution as far as the form of a network goes: it has weights of its own and mixes all channels."""
    return Operation(
        name, lambda inputs, params: inputs[0], lambda inputs, output, params: Cost(), "", lambda i, o, p: {},
        channels=lambda params: "mix", summary="a layer of NAS-Bench-Graph, whose results are in a table: it is never built",
    )  # fmt: skip


def layers() -> OperationSet:
    """The operations of NAS-Bench-Graph; a skip is an identity, and what no layer reads is concatenated."""
    shared = vision()
    return OperationSet("layers", [*map(_layer, GRAPH_OPERATIONS[:-1]), shared["identity"], shared["concat"]])


def layer_graph(values: Mapping[str, Any]) -> Graph:
    """The network of a link and four operations (Qin et al., NeurIPS 2022).

    The output reads every layer that no other layer reads.  Of these, skips of the raw input count only where there is nothing
    else: so the authors' own rule for isomorphic networks has it, with which the fingerprints of these graphs agree in all 59,049.
    """
    build = GraphBuilder()
    nodes, raw = [build.add("input")], [True]
    for number, source in enumerate(map(int, values["link"]), 1):
        op = values[f"layer{number}"]
        nodes.append(build.add("identity" if op == "skip" else op, nodes[source]))
        raw.append(raw[source] and op == "skip")
    ends = [number for number in range(1, 5) if str(number) not in values["link"]]
    kept = [nodes[number] for number in ends if not raw[number]] or [nodes[0]]
    build.add("output", build.add("concat", *kept) if len(kept) > 1 else kept[0])
    return build.graph()


Form = tuple[Any, ...]


def layer_form(link: str, ops: Sequence[str]) -> Form:
    """What isomorphic networks have in common, as nested tuples: quicker than the fingerprint of their graph, and the same.

    A network without its skips is a tree, from the input to what is concatenated: each node is its operation, how often it is read by
    the output, and the sorted forms of the layers that read it.
    """
    reads: list[int] = [0]
    for number, source in enumerate(map(int, link), 1):
        reads.append(reads[source] if ops[number - 1] == "skip" else number)
    ends = [reads[number] for number in range(1, 5) if str(number) not in link]
    children: list[list[Form]] = [[], [], [], [], []]
    for number in range(4, 0, -1):
        if ops[number - 1] != "skip":
            form = (ops[number - 1], ends.count(number), *sorted(children[number]))
            children[reads[int(link[number - 1])]].append(form)
    return tuple(sorted(children[0]))


class _Isomorphic:
    """The row of a genotype, or of the one network of the same form that the table has."""

    def __init__(self, links: NDArray[Any], ops: NDArray[Any]) -> None:
        names = [[GRAPH_OPERATIONS[number] for number in found] for found in ops.tolist()]
        pairs = zip(links.tolist(), names, strict=True)
        self._rows = {layer_form(LINKS[link], found): row for row, (link, found) in enumerate(pairs)}

    def __call__(self, genotype: Genotype) -> int | None:
        link, *ops = genotype.slots
        return self._rows.get(layer_form(link, ops))  # type: ignore[arg-type]


def _layers(name: str, folder: Path) -> Bench:
    with _npz(folder / f"{name}.npz") as file:
        row = _Isomorphic(file["link_id"], file["ops"])
        repeats = [(value,) for value in file["valid_perf"].tolist()]
        metrics = {column: np.array(file[column]) for column in ("test_perf", "latency_s", "params_m")}
    decisions = [Decision("link", Choice(LINKS))]
    decisions += [Decision(f"layer{number}", Choice(GRAPH_OPERATIONS)) for number in range(1, 5)]
    space = Remembering(DecisionSpace(decisions), layer_graph, layers())
    return Bench(f"nas_bench_graph/{name}", space, row, Objective(METRIC), repeats, metrics=metrics)


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
        metrics = {"parameters": np.array(file["model_size"], dtype=float)} if "model_size" in file else {}
    space = _parameters(columns)
    row = _Grid(space.decisions, places)
    return Bench(f"{family}/{name}", space, row, Objective(METRIC, goal), repeats, durations, metrics)


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


def main() -> int:
    """List the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="*", default=["all"], metavar="PATTERN")
    parser.add_argument("--data", metavar="FOLDER", help="where the tables are")
    given = parser.parse_args()
    try:
        for name in matching(given.table):
            found = table(name, data_folder(given.data))
            size = math.prod(decision.domain.size or 1 for decision in found.space.decisions.decisions)
            repeats = sorted({len(each) for each in found.repeats})
            goal = found.objective.goal
            print(
                f"{name:<40} {size:>6} genotypes  {len(found.repeats):>6} rows  repeats {repeats}  {goal} {found.best:.6g}"
            )
    except MorphMLError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
