"""What a search costs beside its evaluations, next to Optuna.

    python benchmarks/overhead.py [--runs 5] [--json]
    python benchmarks/overhead.py --part asks --optimizer all --peers --output results

The part `searches`: both search the same space of 20 decisions at random, with the same trivial objective, in turn and in one process, so that whatever
else the machine does falls on both.  Reported are medians.  Then: trials per second of whole searches of 1,000 to 100,000 trials, which
shows that a trial costs the same whatever their number; the time of one suggestion of `regularized_evolution` after 100 and
after 100,000 trials, the time of `import morphml_core`, and of `morphml --help`.

The part `asks`: what one ask and one tell cost after 10, 1,000, 10,000 and 100,000 told trials of the same space, for each optimizer, in a process
of its own: medians of up to 30 asks for one trial each, which is then told.  Also the most memory that the process took, less
what it had before the first trial was told.  `--peers` adds Optuna's TPE, at up to 5,000 trials.  What takes more than `--patience` seconds is cut
short.  `--output FOLDER` writes `overhead.json` and `overhead.png`.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import figures
from morphml_core.artifacts.local import Config as ArtifactsConfig
from morphml_core.artifacts.local import component as local_artifacts
from morphml_core.evaluator.function import FunctionEvaluator
from morphml_core.executor.inline import component as inline
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings, Stop
from morphml_core.optimizer.random import component as random_search
from morphml_core.plugins.catalogue import Catalogue
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Candidate, Objective, Problem, Proposal, Trial, TrialState
from morphml_core.protocols import Storage
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.space import SearchSpace
from morphml_core.storage.memory import Memory
from morphml_core.storage.sql import Config as SqlConfig
from morphml_core.storage.sql import component as sql
from morphml_core.work import Work

CHOICES = ("relu", "gelu", "silu", "tanh")


def space() -> SearchSpace:
    """Seven choices, seven reals (four on a log scale) and six integers (three on a log scale)."""
    decisions = [Decision(f"choice{index}", Choice(CHOICES)) for index in range(7)]
    decisions += [Decision(f"real{index}", Real(1e-5, 1.0, log=index % 2 == 0)) for index in range(7)]
    decisions += [Decision(f"integer{index}", Integer(1, 64, log=index % 2 == 1)) for index in range(6)]
    return SearchSpace(DecisionSpace(decisions))


def objective(candidate: Candidate) -> float:
    """The sum of the reals and integers."""
    values = candidate.hyperparameters
    return float(sum(value for value in values.values() if not isinstance(value, str)))


def optuna_objective(trial: Any) -> float:
    """The same space and sum, as Optuna has them."""
    for index in range(7):
        trial.suggest_categorical(f"choice{index}", CHOICES)
    total = 0.0
    for index in range(7):
        total += trial.suggest_float(f"real{index}", 1e-5, 1.0, log=index % 2 == 0)
    for index in range(6):
        total += trial.suggest_int(f"integer{index}", 1, 64, log=index % 2 == 1)
    return total


def morphml(storage: Storage, folder: Path, trials: int, seed: int) -> float:
    """Trials a second of a whole search."""
    searched, evaluator = space(), FunctionEvaluator(objective)
    problem = Problem(searched, [Objective("value", "minimize")], seed=seed, trials=trials, known=evaluator.known)
    work = Work(searched, evaluator, local_artifacts.create(ArtifactsConfig(str(folder / "artifacts")), "overhead"))
    optimizer, executor = random_search.create(random_search.config(), problem), inline.create(inline.config(), work)
    loop = Loop(problem, optimizer, executor, storage, Settings(stop=Stop(trials=trials)))
    since = time.perf_counter()
    loop.run()
    took = time.perf_counter() - since
    assert loop.state.counts["finished"] == trials
    return trials / took


def optuna(storage: str | None, trials: int, seed: int) -> float:
    """Trials a second of Optuna."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=seed))
    since = time.perf_counter()
    study.optimize(optuna_objective, n_trials=trials)
    return trials / (time.perf_counter() - since)


def whole_loop(runs: int, folder: Path) -> dict[str, dict[str, float]]:
    """Median trials a second of both, in memory and in SQLite, each run right after the other's."""
    rates: dict[str, list[float]] = {}

    def note(name: str, rate: float) -> None:
        rates.setdefault(name, []).append(rate)

    for run in range(runs):
        place = folder / str(run)
        place.mkdir()
        note("memory", morphml(Memory().open("overhead"), place, 3000, run))
        note("memory optuna", optuna(None, 500, run))
        for synchronous in ("normal", "full"):
            storage = sql.create(SqlConfig(f"sqlite:///{place}/{synchronous}.db", synchronous), "overhead")
            note(f"sqlite {synchronous}", morphml(storage, place, 1000 if synchronous == "normal" else 200, run))
            storage.close()
        note("sqlite optuna", optuna(f"sqlite:///{place}/optuna.db", 20, run))
        shutil.rmtree(place)
    median = {name: statistics.median(found) for name, found in rates.items()}
    return {
        name: {
            "morphml": median[name],
            "optuna": median[f"{kind} optuna"],
            "ratio": median[name] / median[f"{kind} optuna"],
        }
        for name, kind in (("memory", "memory"), ("sqlite normal", "sqlite"), ("sqlite full", "sqlite"))
    }


def growth(folder: Path) -> dict[str, dict[int, float]]:
    """Trials a second of longer and longer searches, in memory and in SQLite."""
    rates: dict[str, dict[int, float]] = {"memory": {}, "sqlite normal": {}}
    for trials in (1_000, 10_000, 100_000):
        rates["memory"][trials] = morphml(Memory().open("overhead"), folder, trials, 0)
    for trials in (1_000, 10_000):
        storage = sql.create(SqlConfig(f"sqlite:///{folder}/{trials}.db"), "overhead")
        rates["sqlite normal"][trials] = morphml(storage, folder, trials, 0)
        storage.close()
    return rates


def suggestion(trials: int = 100_000, asks: int = 2000) -> dict[str, float]:
    """Microseconds of one suggestion of `regularized_evolution` after 100 and after `trials` trials."""
    from morphml_optimizers.regularized_evolution import component

    problem = Problem(space(), [Objective("value", "minimize")])
    optimizer = component.create(component.config(), problem)
    took: dict[int, float] = {}
    told = 0
    for goal in (100, trials):
        for number in range(told, goal):
            genotype = problem.decisions.sample(problem.rng(number))
            metrics = {"value": float(genotype.slots[13])}  # type: ignore[arg-type]
            optimizer.tell([Trial(number, genotype, TrialState.FINISHED, str(number), metrics=metrics)])
        told = goal
        took[goal] = _median_ask(optimizer, asks)
    return {"at_100": took[100], f"at_{trials}": took[trials], "ratio": took[trials] / took[100]}


def _median_ask(optimizer: Any, asks: int) -> float:
    times = []
    for number in range(1_000_000, 1_000_000 + asks):
        since = time.perf_counter()
        optimizer.ask([number], [])
        times.append(time.perf_counter() - since)
    return statistics.median(times) * 1e6


def start_up(runs: int) -> dict[str, float]:
    """Milliseconds of the import (in a fresh process each), and of the whole command `morphml --help`."""
    code = "import time; since = time.perf_counter(); import morphml_core; print(time.perf_counter() - since)"
    imports = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(runs)
    ]
    command = [str(Path(sys.executable).parent / "morphml"), "--help"]
    helps = [_timed(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(runs)]
    return {"import_ms": statistics.median(imports) * 1e3, "help_ms": statistics.median(helps) * 1e3}


def _timed(call: Callable[[], object]) -> float:
    since = time.perf_counter()
    call()
    return time.perf_counter() - since


# asks and tells ---------------------------------------------------------------------------------------

ASKS = 30
BATCH = 1_000
"""So many trials of the past are told at once: a list of all of them would be what takes the memory."""
AT = (10, 1_000, 10_000, 100_000)
SEVERAL = ("moead", "nsga2", "nsga3", "parego")
"""The optimizers that are measured with two objectives."""
AT_OF_OPTUNA = (10, 100, 1_000, 5_000)


def _losses(problem: Problem, trial: Proposal) -> dict[str, float]:
    """The mean of the encoded decisions as the first objective, and of their squares as the second."""
    units = problem.decisions.encode(trial.genotype)
    values = (sum(units) / len(units), sum(unit * unit for unit in units) / len(units))
    return {goal.name: float(value) for goal, value in zip(problem.objectives, values, strict=False)}


def _told(problem: Problem, number: int, proposal: Proposal) -> Trial:
    return Trial(
        number, proposal.genotype, TrialState.FINISHED, str(number), proposal.budget, _losses(problem, proposal),
        continues=proposal.continues, origin=proposal.origin,
    )  # fmt: skip


def _made(name: str) -> tuple[Problem, Any]:
    """A problem and an optimizer with its defaults."""
    goals = [Objective(f"loss{index}", "minimize") for index in range(1 + (name in SEVERAL))]
    problem = Problem(space(), goals, budget=Budget(81))
    return problem, Loader().load(ComponentRef("optimizer", name, {})).create(problem)


def asks(name: str, at: Sequence[int], patience: float) -> dict[str, Any]:
    """Milliseconds of one ask and of one tell after each number of told trials, and megabytes of memory."""
    problem, made = _made(name)
    before, began = _peak(), time.perf_counter()
    found: dict[str, Any] = {"optimizer": name, "objectives": len(problem.objectives), "ask_ms": {}, "tell_ms": {}}
    told = 0
    for goal in at:
        for start in range(told, goal, BATCH):
            past = range(start, min(goal, start + BATCH))
            sampled = [Proposal(problem.decisions.sample(problem.rng(number)), Budget(81)) for number in past]
            made.tell([_told(problem, number, proposal) for number, proposal in zip(past, sampled, strict=True)])
        told = max(told, goal)
        asking, telling = [], []
        for number in range(told, told + ASKS):
            since = time.perf_counter()
            proposals = made.ask([number], [])
            asking.append(time.perf_counter() - since)
            if not proposals:
                break
            trial = _told(problem, number, proposals[0])
            since = time.perf_counter()
            made.tell([trial])
            telling.append(time.perf_counter() - since)
            told = number + 1
            if time.perf_counter() - began > patience and len(asking) >= 3:
                break
        found["ask_ms"][goal] = 1e3 * statistics.median(asking)
        found["tell_ms"][goal] = 1e3 * statistics.median(telling or [math.nan])
        found["memory_mb"] = {"told": told, "peak": round(_peak() - before, 1)}
        if time.perf_counter() - began > patience:
            break
    return found


def asks_of_optuna(at: Sequence[int], patience: float) -> dict[str, Any]:
    """The same of Optuna's TPE, whose suggestions are what it asks."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    before, began = _peak(), time.perf_counter()
    found: dict[str, Any] = {"optimizer": "optuna-tpe", "objectives": 1, "ask_ms": {}, "tell_ms": {}}
    filler = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for goal in at:
        filler.optimize(optuna_objective, n_trials=goal - len(filler.trials))
        study.add_trials(filler.trials[len(study.trials) :])
        asking, telling = [], []
        for _ in range(ASKS):
            since = time.perf_counter()
            trial = study.ask()
            value = optuna_objective(trial)
            asking.append(time.perf_counter() - since)
            since = time.perf_counter()
            study.tell(trial, value)
            telling.append(time.perf_counter() - since)
            if time.perf_counter() - began > patience and len(asking) >= 3:
                break
        found["ask_ms"][goal] = 1e3 * statistics.median(asking)
        found["tell_ms"][goal] = 1e3 * statistics.median(telling)
        found["memory_mb"] = {"told": len(study.trials), "peak": round(_peak() - before, 1)}
        if time.perf_counter() - began > patience:
            break
    return found


def _peak() -> float:
    """The most memory that this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0**2 if sys.platform == "darwin" else 1024.0)


def each_alone(names: Sequence[str], at: Sequence[int], patience: float) -> Iterator[dict[str, Any]]:
    """Measure each in a fresh process, so that its memory is its own."""
    for name in names:
        command = [sys.executable, __file__, "--alone", name, "--at", *map(str, at), "--patience", str(patience)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            yield {"optimizer": name, "failed": done.stderr.strip().splitlines()[-1].partition(": ")[2]}
        else:
            yield json.loads(done.stdout)


def alone(name: str, at: Sequence[int], patience: float) -> dict[str, Any]:
    """Measure one in this process."""
    if name != "optuna-tpe":
        return asks(name, at, patience)
    return asks_of_optuna([count for count in AT_OF_OPTUNA if count <= max(at)], patience)


def draw(folder: Path, measured: Sequence[dict[str, Any]]) -> None:
    """Write `overhead.png`: milliseconds of ask and tell together."""
    lines = [
        figures.Line(
            each["optimizer"],
            [int(count) for count in each["ask_ms"]],
            [ask + tell for ask, tell in zip(each["ask_ms"].values(), each["tell_ms"].values(), strict=True)],
            [0.0] * len(each["ask_ms"]),
            each["optimizer"] == "optuna-tpe",
        )
        for each in measured
        if "failed" not in each
    ]
    panels = {"ask and tell of one trial": lines}
    figures.plot(folder / "overhead.png", panels, "told trials", "milliseconds", log_x=True, log_y=True)


def line_of_asks(each: dict[str, Any]) -> str:
    """One optimizer in words."""
    if "failed" in each:
        return f"{each['optimizer']:<24}{each['failed']}"
    both = [
        f"{int(count):>7,}: {ask:.3f} + {tell:.3f}"
        for (count, ask), tell in zip(each["ask_ms"].items(), each["tell_ms"].values(), strict=True)
    ]
    memory = each["memory_mb"]
    return f"{each['optimizer']:<24}{'  '.join(both)}  {memory['peak']:.0f} MB after {memory['told']:,}"


# the command line -------------------------------------------------------------------------------------


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", nargs="+", choices=("searches", "asks"), default=["searches"])
    add("--runs", type=int, default=5, help="searches: runs of each; medians are reported (default: 5)")
    add(
        "--optimizer",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help="asks: of which optimizers (default: all that are installed)",
    )
    add("--peers", action="store_true", help="asks: also of Optuna's TPE")
    add("--at", nargs="+", type=int, default=list(AT), metavar="N", help="asks: after how many told trials")
    add(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="asks: what takes longer is cut short (default: 60)",
    )
    add("--output", type=Path, metavar="FOLDER", help="write overhead.json and overhead.png")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--alone", metavar="NAME", help=argparse.SUPPRESS)
    return parser  # fmt: skip


def searches(runs: int) -> dict[str, Any]:
    """All that the part `searches` measures."""
    import optuna

    folder = Path(tempfile.mkdtemp(prefix="overhead-"))
    try:
        found: dict[str, Any] = {"runs": runs, "optuna": optuna.__version__}
        found["trials_per_second"] = whole_loop(runs, folder)
        found["growth"] = growth(folder)
    finally:
        shutil.rmtree(folder)
    found["suggestion_us"] = suggestion()
    found["start"] = start_up(runs)
    return found


def main() -> None:
    """Measure, and print a table or JSON."""
    given = arguments().parse_args()
    if given.alone:
        print(json.dumps(alone(given.alone, given.at, given.patience)))
        return
    found: dict[str, Any] = {}
    if "searches" in given.part:
        found |= searches(given.runs)
        if not given.json:
            print(table(found))
    if "asks" in given.part:
        names = Catalogue.installed().names("optimizer") if given.optimizer == ["all"] else list(given.optimizer)
        found["asks"] = []
        for each in each_alone(names + ["optuna-tpe"] * given.peers, given.at, given.patience):
            found["asks"].append(each)
            if not given.json:
                print(line_of_asks(each), flush=True)
    if given.json:
        print(json.dumps(found, indent=2))
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "overhead.json").write_text(json.dumps(found, indent=1))
        draw(given.output, found.get("asks", []))


def table(found: dict[str, Any]) -> str:
    """The figures in lines, each with what is aimed at."""
    aims = {"memory": (10_000, 3), "sqlite normal": (2_000, 20), "sqlite full": (None, None)}
    lines = [f"random search, 20 decisions, median of {found['runs']} (Optuna {found['optuna']})", ""]
    lines.append(f"{'trials a second':<24}{'MorphML':>10}{'aim':>10}{'Optuna':>10}{'ratio':>8}{'aim':>6}")
    for name, rate in found["trials_per_second"].items():
        aim, ratio = (str(each) if each else "-" for each in aims[name])
        lines.append(
            f"{name:<24}{rate['morphml']:>10.0f}{aim:>10}{rate['optuna']:>10.1f}{rate['ratio']:>8.1f}{ratio:>6}"
        )
    lines.append("")
    for name, rates in found["growth"].items():
        shown = ", ".join(f"{rate:.0f} over {trials:,} trials" for trials, rate in rates.items())
        lines.append(f"{name}: {shown} (trials a second)")
    at_100, at_many, ratio = found["suggestion_us"].values()
    lines += [
        "",
        f"a suggestion of regularized_evolution: {at_100:.1f} us after 100 trials, {at_many:.1f} us after 100,000: {ratio:.2f} (aim 1.2)",
    ]
    start = found["start"]
    lines += [
        f"import morphml_core: {start['import_ms']:.0f} ms (aim 80); morphml --help: {start['help_ms']:.0f} ms (aim 250)"
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
