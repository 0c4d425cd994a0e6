"""How good is what an optimizer finds in a table of known results.


    python benchmarks/regret.py --table cifar10.csv.gz --optimizer regularized_evolution --evaluations 100 --runs 200 --json

Each run is a true search: loop, memory storage, inline executor, `table` evaluator.  Each query of an architecture draws one of its
recorded seeds, so nothing is deduplicated: a second query of the same architecture may draw another.  The regret after n
evaluations is the best seed mean of the table, less the seed mean of the architecture with the best value drawn so far.
Printed are the mean over the runs and its standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import attrs
import yaml

from morphml_core.artifacts.local import Config as ArtifactsConfig
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.errors import MorphMLError
from morphml_core.evaluator.table import Config, File, TableEvaluator
from morphml_core.executor.inline import Config as InlineConfig
from morphml_core.executor.inline import InlineExecutor
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings, Stop
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Objective, Problem, Trial, TrialState
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice
from morphml_core.space.space import SearchSpace
from morphml_core.storage.memory import Memory
from morphml_core.work import Work

METRIC = "value"


@attrs.frozen
class Source:
    """A table, and which of its columns mean what.  `metric` is a column, columns with commas between, or what the columns of the seeds begin with.

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


@attrs.frozen(eq=False)
class Bench:
    """A table ready to be searched: its space (one choice a digit), the digit of each value, its evaluator, the mean over the seeds of each key, and the best of these."""

    space: SearchSpace
    codes: Mapping[Any, str]
    evaluator: TableEvaluator
    means: Mapping[str, float]
    objective: Objective
    best: float

    def mean(self, trial: Trial) -> float:
        """The seed mean of a trial's architecture."""
        return self.means["".join(self.codes[slot] for slot in trial.genotype)]


@lru_cache(maxsize=2)
def bench(source: Source) -> Bench:
    """Read a table.  Raises `MorphMLError` where it has no such columns or its keys are not digits."""
    file = File.read(Path(source.path))
    key, columns = source.key_in(file.header), source.columns(file.header)
    keys = [row[file.index(key)] for row in file.rows]
    lengths = sorted({len(text) for text in keys})
    if len(lengths) > 1 or not all(text.isdigit() for text in keys):
        raise MorphMLError(
            f"the column '{key}' of {source.path} must have digits, the same number in each row; choose another with --key"
        )
    space, codes = _flat(keys) if source.space is None else _built_in(source.space, lengths[0])
    config = Config(Path(source.path), key, {METRIC: columns}, codes=codes)
    repeats = zip(keys, file.numbers(columns), strict=True)
    means = {text: statistics.fmean(found) for text, found in repeats if found}
    goal = Objective(METRIC, "minimize" if source.minimize else "maximize")
    return Bench(space, codes, TableEvaluator(config, space), means, goal, min(means.values(), key=goal.loss))


def _flat(keys: Sequence[str]) -> tuple[SearchSpace, dict[Any, str]]:
    """A space of the digits themselves, without graphs."""
    digits = [sorted({text[place] for text in keys}) for place in range(len(keys[0]))]
    decisions = DecisionSpace(Decision(f"digit{place}", Choice(tuple(found))) for place, found in enumerate(digits))
    return SearchSpace(decisions), {digit: digit for digit in "0123456789"}


def _built_in(name: str, length: int) -> tuple[SearchSpace, dict[Any, str]]:
    """The space of that name, with its graphs.  Raises `MorphMLError` unless it has a choice a digit, all of the same values."""
    space: SearchSpace = Loader().load(ComponentRef("space", name, {})).create()
    domains = [decision.domain for decision in space.decisions.decisions]
    first = domains[0]
    if len(domains) != length or not isinstance(first, Choice) or any(domain != first for domain in domains):
        raise MorphMLError(
            f"the keys have {length} digits, but the space '{name}' is not made of so many equal choices"
        )
    return space, {value: str(place) for place, value in enumerate(first.values)}


def search(source: Source, optimizer: ComponentRef, evaluations: int, seed: int) -> list[Trial]:
    """The trials of one search, in order."""
    table = bench(source)
    problem = Problem(table.space, [table.objective], seed=seed, trials=evaluations, known=table.evaluator.known)
    work = Work(table.space, table.evaluator, LocalArtifacts(ArtifactsConfig(os.devnull), "regret"))
    settings = Settings("regret", stop=Stop(trials=evaluations), deduplicate=False)
    made = Loader().load(optimizer).create(problem)
    loop = Loop(problem, made, InlineExecutor(InlineConfig(), work), Memory().open("regret"), settings)
    loop.run()
    return [trial for _, trial in sorted(loop.state.trials.items())]


def regrets(source: Source, optimizer: ComponentRef, evaluations: int, at: Sequence[int], seed: int) -> list[float]:
    """The regret of one search after each number of evaluations in `at` (NaN before the first result)."""
    table, best, found = bench(source), None, dict[int, float]()
    for count, trial in enumerate(search(source, optimizer, evaluations, seed), 1):
        if trial.state is TrialState.FINISHED and (best is None or _loss(table, trial) < _loss(table, best)):
            best = trial
        found[count] = float("nan") if best is None else abs(table.best - table.mean(best))
    return [found.get(count, found[max(found)]) for count in at]


def _loss(table: Bench, trial: Trial) -> float:
    return table.objective.loss(trial.metrics[METRIC])


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard error of the mean."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return {"mean": round(statistics.fmean(values), 4), "sem": round(error, 4)}


def measure(
    source: Source, optimizer: ComponentRef, evaluations: int, runs: int, pool: ProcessPoolExecutor
) -> dict[str, Any]:
    """The result of one table and optimizer."""
    at = sorted({count for count in (25, 50, 100, evaluations) if count <= evaluations})
    one = partial(regrets, source, optimizer, evaluations, at)
    found = list(pool.map(one, range(runs), chunksize=max(1, runs // 8)))
    regret = {str(count): summary([run[index] for run in found]) for index, count in enumerate(at)}
    return {
        "table": source.path,
        "space": source.space,
        "optimizer": optimizer.name,
        "options": dict(optimizer.options),
        "runs": runs,
        "regret": regret,
    }


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


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--table", action="append", required=True, metavar="FILE", help="a CSV or CSV.GZ file; may be repeated"
    )
    parser.add_argument("--optimizer", action="append", required=True, metavar="NAME", help="may be repeated")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument(
        "--options", nargs="*", action="extend", default=[], metavar="K=V", help="for the optimizers that have them"
    )
    parser.add_argument("--key", help="the column of digit strings (default: ops or arch)")
    parser.add_argument(
        "--metric", default=Source("").metric, help="a column, columns, or what the columns of the seeds begin with"
    )
    parser.add_argument("--space", metavar="NAME", help="search a built-in space with its graphs, such as nasbench201")
    parser.add_argument("--minimize", action="store_true", help="smaller values of the metric are better")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def line(result: Mapping[str, Any]) -> str:
    """One result in words."""
    figures = "  ".join(
        f"{count}: {found['mean']:.3f} ± {found['sem']:.3f}" for count, found in result["regret"].items()
    )
    return f"{result['table']}  {result['optimizer']}  ({result['runs']} runs)  {figures}"


def main() -> int:
    """Print a result for each table and optimizer."""
    given = arguments().parse_args()
    try:
        optimizers = list(references(given.optimizer, given.options))
        sources = [Source(path, given.key, given.metric, given.minimize, given.space) for path in given.table]
        for source in sources:
            bench(source)
        with ProcessPoolExecutor(given.processes) as pool:
            for source in sources:
                for optimizer in optimizers:
                    result = measure(source, optimizer, given.evaluations, given.runs, pool)
                    print(json.dumps(result) if given.json else line(result), flush=True)
    except MorphMLError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
