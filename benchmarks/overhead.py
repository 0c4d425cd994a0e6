"""What a search costs beside its evaluations, next to Optuna.

    python benchmarks/overhead.py [--runs 5] [--json]

Both search the same space of 20 decisions at random, with the same trivial objective, in turn and in one process, so that whatever
else the machine does falls on both.  Reported are medians.  Then: trials per second of whole searches of 1,000 to 100,000 trials, which
shows that a trial costs the same whatever their number; the time of one suggestion of `regularized_evolution` after 100 and
after 100,000 trials, the time of `import morphml_core`, and of `morphml --help`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from morphml_core.artifacts.local import Config as ArtifactsConfig
from morphml_core.artifacts.local import component as local_artifacts
from morphml_core.evaluator.function import FunctionEvaluator
from morphml_core.executor.inline import component as inline
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings, Stop
from morphml_core.optimizer.random import component as random_search
from morphml_core.problem import Candidate, Objective, Problem, Trial, TrialState
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


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each; medians are reported (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    import optuna

    folder = Path(tempfile.mkdtemp(prefix="overhead-"))
    try:
        found: dict[str, Any] = {"runs": options.runs, "optuna": optuna.__version__}
        found["trials_per_second"] = whole_loop(options.runs, folder)
        found["growth"] = growth(folder)
    finally:
        shutil.rmtree(folder)
    found["suggestion_us"] = suggestion()
    found["start"] = start_up(options.runs)
    print(json.dumps(found, indent=2) if options.json else table(found))


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
