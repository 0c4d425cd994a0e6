"""How good is what an optimizer finds in a table of known results, next to other libraries.

    python benchmarks/regret.py --table nasbench201/cifar10 'hpobench_mlp/*' --optimizer local_search genetic --at 50 100 200 --runs 50
    python benchmarks/regret.py --table all --optimizer auto --peers optuna-tpe pymoo-ga --output results --processes 2
    python benchmarks/regret.py --table cifar10.csv.gz --optimizer regularized_evolution --evaluations 100 --runs 200 --json

A table is a name or pattern of tables.py, or a CSV file with the options `--key`, `--metric`, `--space` and `--minimize`.
Each run is a true search: loop, memory storage, inline executor, a table as the evaluator.  Each query of an architecture draws one of its
recorded seeds by the number of the trial and the seed of the run, by one rule for all optimizers and peers; nothing is deduplicated, as a second
query of the same architecture may draw another.  The regret after n evaluations is the best seed mean of the table, less the seed mean of the
architecture with the best value drawn so far.  Printed are the mean over the runs and its standard error.

`--output FOLDER` keeps every run: what is there already is not run again, so that a command can be interrupted, repeated, given more
runs, or more optimizers.  It also writes `summary.json` of all that the folder holds (on how many tables is an optimizer of ours behind no peer:
the 95 % interval of the difference of the means does not lie above zero) and `regret.png`, with 95 % bands.
`--peers` (see peers.py) needs `pip install -r benchmarks/requirements.txt`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import yaml

import figures
import peers
import tables
from morphml_core.artifacts.local import Config as ArtifactsConfig
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.errors import MorphMLError
from morphml_core.evaluator.table import File
from morphml_core.executor.inline import Config as InlineConfig
from morphml_core.executor.inline import InlineExecutor
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings, Stop
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Objective, Problem, TrialState
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice
from morphml_core.space.space import SearchSpace
from morphml_core.storage.memory import Memory
from morphml_core.work import Work


@attrs.frozen
class Source:
    """A CSV table, and which of its columns mean what.  `metric` is a column, columns with commas between, or what the columns of the seeds begin with.

    `space` is the name of a built-in space of choices, as many as there are digits: the digit is the position of the value.
    """

    path: str
    key: str | None = None
    metric: str = "val_acc_200ep_s"
    minimize: bool = False
    space: str | None = None

    def columns(self, header: Sequence[str]) -> list[str]:
        """The columns of the metric, one a seed."""
        given = self.metric.split(",")
        numbered = [column for column in header if re.fullmatch(re.escape(self.metric) + r"\d+", column)]
        return numbered or given

    def key_in(self, header: Sequence[str]) -> str:
        """The column of digit strings that identify the architectures."""
        return self.key or next((name for name in ("ops", "arch") if name in header), "ops")

    def read(self) -> tables.Bench:
        """The table.  Raises `MorphMLError` where it has no such columns or its keys are not digits."""
        file = File.read(Path(self.path))
        key, columns = self.key_in(file.header), self.columns(file.header)
        keys = [row[file.index(key)] for row in file.rows]
        lengths = sorted({len(text) for text in keys})
        if len(lengths) > 1 or not all(text.isdigit() for text in keys):
            raise MorphMLError(
                f"the column '{key}' of {self.path} must have digits, the same number in each row; choose another with --key"
            )
        space, codes = _flat(keys) if self.space is None else _with_graphs(self.space, lengths[0])
        found = {text: repeats for text, repeats in zip(keys, file.numbers(columns), strict=True) if repeats}
        rows = {text: row for row, text in enumerate(found)}

        def row(genotype: Genotype) -> int | None:
            return rows.get("".join([codes[slot] for slot in genotype.slots]))

        goal = Objective(tables.METRIC, "minimize" if self.minimize else "maximize")
        return tables.Bench(self.path, space, row, goal, list(found.values()))


def _flat(keys: Sequence[str]) -> tuple[SearchSpace, dict[Any, str]]:
    """A space of the digits themselves, without graphs."""
    digits = [sorted({text[place] for text in keys}) for place in range(len(keys[0]))]
    decisions = DecisionSpace(Decision(f"digit{place}", Choice(tuple(found))) for place, found in enumerate(digits))
    return SearchSpace(decisions), {digit: digit for digit in "0123456789"}


def _with_graphs(name: str, length: int) -> tuple[SearchSpace, dict[Any, str]]:
    """The space of that name, with its graphs.  Raises `MorphMLError` unless it has a choice a digit, all of the same values."""
    space = tables.built_in(name)
    domains = [decision.domain for decision in space.decisions.decisions]
    first = domains[0]
    if len(domains) != length or not isinstance(first, Choice) or any(domain != first for domain in domains):
        raise MorphMLError(
            f"the keys have {length} digits, but the space '{name}' is not made of so many equal choices"
        )
    return space, {value: str(place) for place, value in enumerate(first.values)}


@attrs.frozen
class Table:
    """Which table is searched: one of tables.py by its name, or a CSV file; `flat`: without graphs."""

    name: str
    data: Path
    source: Source | None = None
    flat: bool = False

    @property
    def space(self) -> str | None:
        """The built-in space that a CSV file is searched by."""
        return self.source.space if self.source else None


@lru_cache(maxsize=2)
def bench(table: Table) -> tables.Bench:
    """Read the table."""
    found = table.source.read() if table.source else tables.table(table.name, table.data)
    return found.flat if table.flat else found


@attrs.frozen
class Method:
    """An optimizer of ours with options, or a peer by its name."""

    name: str
    optimizer: ComponentRef | None = None
    flat: bool = False

    @property
    def label(self) -> str:
        """Its name in results."""
        return f"{self.name}-flat" if self.flat else self.name

    @property
    def options(self) -> dict[str, Any]:
        """The options given."""
        return dict(self.optimizer.options) if self.optimizer else {}


# one search -------------------------------------------------------------------------------------------


def search(table: Table, method: Method, evaluations: int, seed: int) -> list[float]:
    """The regret of one search after each of its evaluations (NaN before the first result)."""
    found = bench(attrs.evolve(table, flat=table.flat or method.flat))
    if method.optimizer is None:
        return _regrets(found, _search_of_peer(found, method.name, evaluations, seed))
    return _regrets(found, _search_of_ours(found, method.optimizer, evaluations, seed))


Drawn = tuple[Genotype, float | None]
"""A genotype, and the value drawn for it; None where the evaluation failed."""


def _search_of_ours(found: tables.Bench, optimizer: ComponentRef, evaluations: int, seed: int) -> Iterator[Drawn]:
    evaluator = found.evaluator
    problem = Problem(found.space, [found.objective], seed=seed, trials=evaluations, known=evaluator.known)
    work = Work(found.space, evaluator, LocalArtifacts(ArtifactsConfig(os.devnull), "regret"))
    settings = Settings("regret", stop=Stop(trials=evaluations), deduplicate=False)
    made = Loader().load(optimizer).create(problem)
    loop = Loop(problem, made, InlineExecutor(InlineConfig(), work), Memory().open("regret"), settings)
    loop.run()
    for _, trial in sorted(loop.state.trials.items()):
        yield trial.genotype, trial.metrics[tables.METRIC] if trial.state is TrialState.FINISHED else None


def _search_of_peer(found: tables.Bench, name: str, evaluations: int, seed: int) -> list[Drawn]:
    problem = Problem(found.space, [found.objective], seed=seed)
    drawn: list[Drawn] = []

    def tell(genotype: Genotype) -> float | None:
        if len(drawn) == evaluations:
            raise peers.Over
        value = found.query(genotype, problem.seed_of(len(drawn)))
        drawn.append((genotype, value))
        return None if value is None else found.objective.loss(value)

    peers.search(name, found.space.decisions, tell, evaluations, seed)
    return drawn


def _regrets(found: tables.Bench, drawn: Iterator[Drawn] | list[Drawn]) -> list[float]:
    regrets, least, regret = [], math.inf, math.nan
    for genotype, value in drawn:
        if value is not None and found.objective.loss(value) < least:
            least, regret = found.objective.loss(value), found.regret(genotype)
        regrets.append(regret)
    return regrets


def _job(table: Table, method: Method, evaluations: int, seed: int) -> tuple[list[tuple[int, float]], float]:
    since = time.perf_counter()
    curve = figures.changes(search(table, method, evaluations, seed))
    return curve, time.perf_counter() - since


# many searches ----------------------------------------------------------------------------------------


@attrs.define
class Bout:
    """Many searches in a pool of processes.

    No search begins after the `deadline` (of `time.monotonic`); `again` replaces what the folder `output` has.
    """

    pool: ProcessPoolExecutor
    processes: int
    output: Path | None
    deadline: float = math.inf
    again: bool = False

    def runs(self, table: Table, method: Method, evaluations: int, seeds: range) -> figures.Runs:
        """The runs of a method on a table, of which those of the folder are not repeated."""
        runs = figures.Runs(table.name, method.label, evaluations, method.options)
        if not self.again:
            runs = runs.load(self.output)
        missing = [seed for seed in seeds if seed not in runs.curves]
        waiting: dict[Future[tuple[list[tuple[int, float]], float]], int] = {}
        saved = time.monotonic()
        while waiting or (missing and time.monotonic() < self.deadline):
            while missing and len(waiting) < 2 * self.processes and time.monotonic() < self.deadline:
                seed = missing.pop(0)
                waiting[self.pool.submit(_job, table, method, evaluations, seed)] = seed
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                seed = waiting.pop(future)
                runs.curves[seed], runs.seconds[seed] = future.result()
            if time.monotonic() - saved > 5:
                runs.save(self.output)
                saved = time.monotonic()
        if runs.curves:
            runs.save(self.output)
        return runs


def result_of(runs: figures.Runs, at: Sequence[int], space: str | None = None) -> dict[str, Any]:
    """What is printed of some runs."""
    regret = {str(count): figures.summary(runs.at(count)) for count in at}
    return {
        "table": runs.table,
        "space": space,
        "optimizer": runs.method,
        "options": runs.options,
        "runs": len(runs.curves),
        "regret": regret,
    }


def line(result: Mapping[str, Any]) -> str:
    """One result in words."""
    shown = "  ".join(f"{count}: {found['mean']:.4g} ± {found['sem']:.2g}" for count, found in result["regret"].items())
    name = figures.label(result["optimizer"], result["options"])
    return f"{result['table']}  {name}  ({result['runs']} runs)  {shown}"


# all results of a folder ------------------------------------------------------------------------------


def is_peer(runs: figures.Runs) -> bool:
    """Whether the runs are another library's."""
    return runs.method in peers.PEERS


def compare(everything: Sequence[figures.Runs], at: Sequence[int]) -> dict[str, Any]:
    """For each optimizer of ours and each number of evaluations: on which tables it is behind which peers, and ahead of all of them.

    `never behind` counts the tables on which it is behind no peer at any of the numbers.
    """
    latest = {(runs.table, runs.label): runs for runs in sorted(everything, key=lambda runs: runs.evaluations)}
    ours = sorted({runs.label for runs in everything if not is_peer(runs)})
    found: dict[str, Any] = {}
    for label in ours:
        own = {count: _standing(latest.values(), label, count) for count in at}
        losing = set().union(*(each["behind"] for each in own.values()))
        found[label] = {str(count): each for count, each in own.items()}
        found[label]["never behind"] = max(each["tables"] for each in own.values()) - len(losing)
    return found


def _standing(everything: Collection[figures.Runs], label: str, count: int) -> dict[str, Any]:
    compared, ahead = 0, 0
    behind: dict[str, list[str]] = {}
    for runs in everything:
        rivals = [
            each for each in everything if is_peer(each) and each.table == runs.table and each.evaluations >= count
        ]
        if runs.label != label or runs.evaluations < count or not rivals:
            continue
        compared += 1
        gaps = {rival.label: figures.difference(runs.at(count), rival.at(count)) for rival in rivals}
        ahead += all(gap + half < 0 for gap, half in gaps.values())
        losses = [f"{name} by {gap:.3g} ± {half:.2g}" for name, (gap, half) in gaps.items() if gap - half > 0]
        if losses:
            behind[runs.table] = losses
    return {
        "tables": compared, "not behind any peer": compared - len(behind), "ahead of every peer": ahead, "behind": behind,
    }  # fmt: skip


def write_summary(folder: Path, at: Sequence[int]) -> None:
    """Write `summary.json`, and `regret.png` where matplotlib is installed."""
    everything = [runs for runs in figures.kept(folder) if runs.curves]
    rows = [result_of(runs, [count for count in at if count <= runs.evaluations]) for runs in everything]
    found = {"at": list(at), "comparison": compare(everything, at), "results": rows}
    (folder / "summary.json").write_text(json.dumps(found, indent=1))
    panels: dict[str, list[figures.Line]] = {}
    for runs in everything:
        x = sorted({round(10 ** (power / 20)) for power in range(20, 80)} & set(range(10, runs.evaluations + 1)))
        curves = [[figures.value_at(curve, count) for count in x] for curve in runs.curves.values()]
        panels.setdefault(runs.table, []).append(figures.line_of(runs.label, x, curves, is_peer(runs)))
    figures.plot(folder / "regret.png", panels, "evaluations", "regret", log_x=True, log_y=True)


# the command line -------------------------------------------------------------------------------------


def references(names: Sequence[str], options: Sequence[str]) -> Iterator[ComponentRef]:
    """The optimizers with those of the options that each has.  Raises `MorphMLError` for an option that none has."""
    pairs = dict(option.partition("=")[::2] for option in options)
    values = {name: yaml.safe_load(text) for name, text in pairs.items()}
    fields = {
        name: {field.alias for field in attrs.fields(Loader().component("optimizer", name).config)} for name in names
    }
    for option in values:
        if not any(option in known for known in fields.values()):
            raise MorphMLError(f"none of the optimizers {', '.join(names)} has an option '{option}'")
    for name in names:
        known = {option: value for option, value in values.items() if option in fields[name]}
        yield Loader().load(ComponentRef("optimizer", name, known)).ref


def optimizers(given: argparse.Namespace) -> list[ComponentRef]:
    """The optimizers that the command line names, with their options.  Raises `MorphMLError` where it names no peers either."""
    found = list(references(given.optimizer, given.options))
    if not found and not given.peers:
        raise MorphMLError("nothing to run; name optimizers with --optimizer, or other libraries with --peers")
    return found


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--table",
        nargs="+",
        action="extend",
        required=True,
        metavar="TABLE",
        help="a name or pattern of tables.py, all, or a CSV file",
    )
    add("--optimizer", nargs="+", action="extend", default=[], metavar="NAME", help="optimizers of ours")
    add("--options", nargs="*", action="extend", default=[], metavar="K=V", help="for the optimizers that have them")
    add("--flat", action="store_true", help="search without the graphs of networks, as peers do")
    add(
        "--peers",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help=f"other libraries: {', '.join(peers.PEERS)}",
    )
    add("--at", nargs="+", type=int, default=[], metavar="N", help="the numbers of evaluations to look at")
    add("--evaluations", type=int, help="how many (default: the largest of --at, or 100)")
    add("--runs", type=int, default=200)
    add("--data", metavar="FOLDER", help="where the tables are (default: MORPHML_DATA, or ../shared/data)")
    add("--key", help="CSV: the column of digit strings (default: ops or arch)")
    add(
        "--metric",
        default=Source("").metric,
        help="CSV: a column, columns, or what the columns of the seeds begin with",
    )
    add("--space", metavar="NAME", help="CSV: search a built-in space with its graphs, such as nasbench201")
    add("--minimize", action="store_true", help="CSV: smaller values of the metric are better")
    add("--processes", type=int, default=2)
    add("--output", type=Path, metavar="FOLDER", help="keep the runs here, and write summary.json and regret.png")
    add(
        "--again",
        action="store_true",
        help="replace what the folder has of these tables and optimizers, as after a change",
    )
    add(
        "--limit",
        type=float,
        default=math.inf,
        metavar="SECONDS",
        help="begin no search after this time; repeat the command to go on",
    )
    add("--json", action="store_true", help="one JSON object a line")
    return parser  # fmt: skip


def chosen(given: argparse.Namespace) -> list[Table]:
    """The tables that the command line names."""
    data = tables.data_folder(given.data)
    found: list[Table] = []
    for text in given.table:
        if text.endswith((".csv", ".csv.gz")):
            source = Source(text, given.key, given.metric, given.minimize, given.space)
            found.append(Table(text, data, source))
        else:
            found += [Table(name, data) for name in tables.matching([text])]
    return found


def methods(given: argparse.Namespace) -> list[Method]:
    """The optimizers and peers that the command line names."""
    peers.check(given.peers)
    ours = [Method(ref.name, ref, given.flat) for ref in optimizers(given)]
    return ours + [Method(name) for name in given.peers]


def results(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A result for each table and optimizer; the summary of the folder is written after the last."""
    evaluations = given.evaluations or max(given.at, default=100)
    at = sorted({count for count in given.at or (25, 50, 100) if count <= evaluations} | {evaluations})
    searched, wanted = chosen(given), methods(given)
    for table in searched:
        bench(table)
    with ProcessPoolExecutor(given.processes) as pool:
        bout = Bout(pool, given.processes, given.output, time.monotonic() + given.limit, given.again)
        for table in searched:
            for method in wanted:
                runs = bout.runs(table, method, evaluations, range(given.runs))
                if runs.curves:
                    yield result_of(runs, at, table.space)
    if given.output:
        write_summary(given.output, at)


def main() -> int:
    """Print a result for each table and optimizer."""
    given = arguments().parse_args()
    return figures.report(results(given), line, given.json)


if __name__ == "__main__":
    sys.exit(main())
