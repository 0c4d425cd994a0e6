"""What optimizers find that give few epochs to many candidates and many to the best, on recorded learning curves.

    pip install -r benchmarks/requirements.txt
    python benchmarks/multifidelity.py --optimizer asha successive_halving --runs 20 --json --output results

Every run is a true search on simulated workers: loop, memory storage, a virtual clock.  `curves.py` says what the pools are.

| case | asks | printed |
| --- | --- | --- |
| nlp | is the best of 341 kept? | the epochs trained, as a share of training all 341 to the end; the regret (validation loss) |
| front | is the front of (validation loss, parameters) of the 341 kept? | the same share; the hypervolume of what was trained to the end, as a share of that of all 341 |
| lcdb | is the best learner kept, on 192 datasets (one run a seed and dataset)? | the samples, as a share of training all learners on all; the regret (validation error) |
| nasbench201 | what is found with the epochs of 100 full trainings? | the regret (mean validation error of the recorded seeds) |
| workers | are 32 workers busy, of which one in 20 dies in each attempt? | the share of their time in which they were, and the time of an ask |

What is recommended is what was trained to the end and did best there.  Printed are means over the runs and their standard errors; the picture shows the course of
each search with its 95 % band.  `--peers` adds Optuna's SuccessiveHalvingPruner and HyperbandPruner with their defaults on nlp
(`pip install optuna`), whose trials report each epoch; the share then counts the epochs that it reports.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

import figures
import tables
from curves import LOSS, CurveEvaluator, Pool, lcdb, nasbench201, nlp
from morphml_core.artifacts.local import Config as ArtifactsConfig
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.executor.simulated import Config as SimulatedConfig
from morphml_core.executor.simulated import SimulatedExecutor
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings, Stop
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.plugins.units import Seconds
from morphml_core.problem import Problem, Proposal, Trial, TrialState
from morphml_core.protocols import Optimizer
from morphml_core.storage.memory import Memory
from morphml_core.work import Work
from regret import optimizers

Array = NDArray[np.float64]
CASES = ("nlp", "front", "lcdb", "nasbench201", "workers")
PEERS = ("SuccessiveHalvingPruner", "HyperbandPruner")
FULL_TRAININGS = 100
WORKERS = 32


@attrs.frozen
class Ended:
    """A trial that is over: which candidate, after how many epochs, its loss, and all epochs that were trained until then."""

    candidate: int
    epochs: int
    loss: float
    spent: float


@attrs.define
class Watch:
    """An optimizer that counts the seconds in which it is asked."""

    optimizer: Optimizer
    seconds: float = 0.0
    proposals: int = 0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> Sequence[Proposal]:
        """Ask."""
        since = perf_counter()
        found = self.optimizer.ask(numbers, pending)
        self.seconds += perf_counter() - since
        self.proposals += len(found)
        return found

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell."""
        self.optimizer.tell(trials)


@attrs.frozen(eq=False)
class Searched:
    """A search: what ended, in order, how busy the workers were (a share of their time), and the seconds of an ask per proposal."""

    ended: Sequence[Ended]
    busy: float
    asking: float


def reference(optimizer: ComponentRef, pool: Pool, known: bool) -> ComponentRef:
    """The optimizer, and what the pool asks for where it has such options: its budgets; one bracket of all where it is `known`."""
    fields = {field.alias for field in attrs.fields(Loader().component("optimizer", optimizer.name).config)}
    wanted: dict[str, Any] = {"budgets": list(pool.budgets)} if pool.budgets else {}
    if known:
        wanted["candidates"] = len(pool.curves)
    wanted = {name: value for name, value in wanted.items() if name in fields}
    return attrs.evolve(optimizer, options={**wanted, **optimizer.options})


def search(
    pool: Pool, optimizer: ComponentRef, seed: int, *, several: bool = False, workers: int = 1, stop: Stop, failures: float = 0.0
) -> Searched:  # fmt: skip
    """One search of a pool."""
    evaluator = CurveEvaluator(pool)
    problem = Problem(pool.space, pool.objectives(several), seed=seed, trials=stop.trials, budget=evaluator.budget)
    watch = Watch(Loader().load(optimizer).create(problem))
    with tempfile.TemporaryDirectory() as folder:
        work = Work(pool.space, evaluator, LocalArtifacts(ArtifactsConfig(folder), "curves"))
        executor = SimulatedExecutor(SimulatedConfig(workers=workers, failures=failures, seed=seed), work)
        settings = Settings("curves", stop=stop, deduplicate=not pool.budgets, retries=1000)
        loop = Loop(problem, watch, executor, Memory().open("curves"), settings, clock=executor.clock)
        loop.run()
    trials = [loop.state.trials[number] for number in loop.state.over]
    busy = executor.utilization
    return Searched(list(_ended(pool, trials)), busy, watch.seconds / max(1, watch.proposals))


def _ended(pool: Pool, trials: Sequence[Trial]) -> Iterator[Ended]:
    epochs, spent = dict[int, int](), 0
    for trial in trials:
        epochs[trial.number] = trial.budget.epochs or pool.full
        spent += epochs[trial.number] - (
            epochs.get(trial.continues, 0) if pool.resumes and trial.continues is not None else 0
        )
        loss = trial.metrics[LOSS] if trial.state is TrialState.FINISHED else float("inf")
        yield Ended(pool.index(trial.genotype), epochs[trial.number], loss, spent)


# courses: (epochs spent, score) at each change ------------------------------------------------------------

Course = list[tuple[float, float]]


def regret(pool: Pool, searched: Searched) -> Course:
    """The final loss of the best trained to the end so far, less that of the best of all."""
    final, best, course = pool.final, float("inf"), Course()
    for ended in searched.ended:
        if ended.epochs == pool.full and ended.loss < best:
            best = ended.loss
            course.append((ended.spent, float(final[ended.candidate] - final.min())))
    return course


def volume(pool: Pool, searched: Searched) -> Course:
    """The hypervolume of those trained to the end so far, as a share of that of all; losses scaled to [0, 1], reference point 1.1."""
    import hypervolume

    points = np.stack([pool.final, np.array(pool.costs, dtype=float)], axis=1)
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    whole = hypervolume.volume(points)
    found, course = list[int](), Course()
    for ended in searched.ended:
        if ended.epochs == pool.full:
            found.append(ended.candidate)
            course.append((ended.spent, hypervolume.volume(points[found]) / whole))
    return course


def on_grid(course: Course, grid: Array) -> Array:
    """A course at the points of a grid; NaN before its first score."""
    places = np.searchsorted([spent for spent, _ in course], grid, side="right")
    scores = np.array([np.nan, *(score for _, score in course)])
    return np.asarray(scores[places], dtype=float)


def band(courses: Sequence[Course], total: float, points: int = 60) -> list[dict[str, float]]:
    """Mean and standard error at shares of the whole, from where every search has a score."""
    grid = np.geomspace(0.005, 1.0, points)
    rows = np.stack([on_grid(course, grid * total) for course in courses])
    means, errors = rows.mean(axis=0), rows.std(axis=0, ddof=min(1, len(rows) - 1)) / len(rows) ** 0.5
    kept = zip(grid.tolist(), means.tolist(), errors.tolist(), strict=True)
    return [{"share": round(x, 4), "mean": round(y, 5), "sem": round(e, 5)} for x, y, e in kept if y == y]


# cases ----------------------------------------------------------------------------------------------------


def epochs_of_all(pool: Pool) -> int:
    """The epochs of training all candidates to the end."""
    return len(pool.curves) * pool.full


def _whole(pool: Pool) -> Stop:
    """Until the optimizer has no more to propose."""
    return Stop(trials=20 * len(pool.curves))


Run = tuple[Course, float]
"""The course of a search, and all epochs that it trained."""


def run_pool(optimizer: ComponentRef, data: Path, several: bool, seed: int) -> Run:
    """A search of the 341 cells, until it ends by itself."""
    pool = nlp(data)
    found = search(pool, reference(optimizer, pool, True), seed, several=several, stop=_whole(pool))
    return (volume if several else regret)(pool, found), found.ended[-1].spent


def run_lcdb(optimizer: ComponentRef, data: Path, job: tuple[int, int]) -> Run:
    """A search of the learners of one dataset; epochs as a share of training all of them."""
    seed, place = job
    pool = lcdb(data)[place]
    found = search(pool, reference(optimizer, pool, True), seed, stop=_whole(pool))
    total = epochs_of_all(pool)
    course = [(spent / total, score) for spent, score in regret(pool, found)]
    return course or [(1.0, float(np.ptp(pool.final[np.isfinite(pool.final)])))], found.ended[-1].spent / total


def run_nasbench201(optimizer: ComponentRef, data: Path, seed: int) -> Run:
    """A search of NAS-Bench-201 on one worker that trains as long as so many full trainings take."""
    pool = attrs.evolve(nasbench201(data), seconds=[1.0] * 15625)
    found = search(pool, reference(optimizer, pool, False), seed, stop=Stop(time=Seconds(FULL_TRAININGS)))
    return regret(pool, found), found.ended[-1].spent


def run_workers(optimizer: ComponentRef, data: Path, seed: int) -> tuple[float, float]:
    """How busy 32 workers are with NAS-Bench-201, as long as 40 full trainings take, and the milliseconds of a proposal."""
    pool = nasbench201(data)
    stop = Stop(time=Seconds(40 * statistics.fmean(pool.seconds)))
    found = search(pool, reference(optimizer, pool, False), seed, workers=WORKERS, stop=stop, failures=0.05)
    return found.busy, 1000 * found.asking


def run_optuna(pruner: str, data: Path, seed: int) -> Run:
    """The 341 cells in random order under a pruner of Optuna."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pool, spent, ended = nlp(data), 0, list[Ended]()
    study = optuna.create_study(pruner=getattr(optuna.pruners, pruner)())
    for candidate in np.random.default_rng(seed).permutation(len(pool.curves)).tolist():
        trial = study.ask()
        for epoch in range(1, pool.full + 1):
            spent += 1
            loss = pool.curves[candidate].after(epoch)
            assert loss is not None
            trial.report(loss, epoch)
            if epoch < pool.full and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, loss)
            ended.append(Ended(candidate, pool.full, loss, spent))
    return regret(pool, Searched(ended, 0.0, 0.0)), spent


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard error of the mean, least and greatest."""
    return {**figures.summary(values), "min": figures.rounded(min(values)), "max": figures.rounded(max(values))}


def result(case: str, label: str, options: Mapping[str, Any], runs: Sequence[Run], total: float) -> dict[str, Any]:
    """The figures of a case and optimizer: the share of all epochs that was trained, the score in the end, and the course."""
    scores = [course[-1][1] for course, _ in runs]
    ideal = 1.0 if case == "front" else 0.0
    return {
        "case": case, "optimizer": label, "options": dict(options), "runs": len(runs),
        "share": summary([spent / total for _, spent in runs]),
        "hypervolume" if case == "front" else "regret": summary(scores),
        "kept": round(statistics.fmean(abs(score - ideal) < 1e-9 for score in scores), 4),
        "course": band([course for course, _ in runs], total),
    }  # fmt: skip


def measure(case: str, optimizer: ComponentRef, data: Path, count: int, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """The result of one case and optimizer, of so many runs."""
    seeds, name, options = range(count), optimizer.name, dict(optimizer.options)
    one: Callable[[Any], Any]
    if case in ("nlp", "front"):
        one = partial(run_pool, optimizer, data, case == "front")
        return result(case, name, options, list(pool.map(one, seeds)), epochs_of_all(nlp(data)))
    if case == "lcdb":
        jobs = [(seed, place) for seed in seeds for place in range(len(lcdb(data)))]
        one = partial(run_lcdb, optimizer, data)
        return result(case, name, options, list(pool.map(one, jobs, chunksize=10)), 1.0)
    if case == "nasbench201":
        one = partial(run_nasbench201, optimizer, data)
        return result(case, name, options, list(pool.map(one, seeds)), nasbench201(data).full * FULL_TRAININGS)
    found = list(pool.map(partial(run_workers, optimizer, data), seeds))
    busy, asking = ([run[place] for run in found] for place in (0, 1))
    return {
        "case": case, "optimizer": name, "options": options, "runs": count, "busy": summary(busy),
        "ask_ms": summary(asking),
    }  # fmt: skip


def write(results: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write `multifidelity.json`, and the courses with 95 % bands into `multifidelity.png` where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "multifidelity.json").write_text(json.dumps(results, indent=1))
    panels: dict[str, list[figures.Line]] = {}
    for found in (each for each in results if "course" in each):
        x, mean, error = ([point[name] for point in found["course"]] for name in ("share", "mean", "sem"))
        wide = figures.quantile(found["runs"] - 1) if found["runs"] > 1 else 0.0
        dashed = found["optimizer"].startswith("optuna")
        line = figures.Line(found["optimizer"], x, mean, [wide * each for each in error], dashed)
        title = f"{found['case']}: {'hypervolume' if 'hypervolume' in found else 'regret'}"
        panels.setdefault(title, []).append(line)
    figures.plot(folder / "multifidelity.png", panels, "share of the epochs", "", log_x=True)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", metavar="FOLDER", help="where the tables are (default: MORPHML_DATA, or ../shared/data)")
    add("--case", nargs="+", choices=CASES, default=list(CASES))
    add("--optimizer", nargs="+", action="extend", default=[], metavar="NAME")
    add("--options", nargs="*", action="extend", default=[], metavar="K=V", help="for the optimizers that have them")
    add("--peers", action="store_true", help="Optuna's pruners on nlp")
    add("--runs", type=int, default=20)
    add("--processes", type=int, default=2)
    add("--output", type=Path, metavar="FOLDER", help="where multifidelity.json and multifidelity.png are written")
    add("--json", action="store_true", help="one JSON object a line")
    return parser


def line(found: Mapping[str, Any]) -> str:
    """One result in words."""
    head = f"{found['case']}  {found['optimizer']}  ({found['runs']} runs)"
    if "busy" in found:
        return f"{head}  busy {found['busy']['mean']:.2%}, at least {found['busy']['min']:.2%}; a proposal {found['ask_ms']['mean']:.2f} ms"
    name = "hypervolume" if "hypervolume" in found else "regret"
    score, share = found[name], found["share"]
    return (
        f"{head}  share {share['mean']:.2%} (at most {share['max']:.2%})  {name} {score['mean']:.5f} ± {score['sem']:.5f}  "
        f"kept in {found['kept']:.0%}"
    )


def results(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A result for each case and optimizer, and for the peers; all of them are written after the last."""
    found = []
    for each in _measured(given):
        found.append(each)
        yield each
    if given.output is not None:
        write(found, given.output)


def _measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    data, wanted = tables.data_folder(given.data), optimizers(given)
    with ProcessPoolExecutor(given.processes) as pool:
        for case in given.case:
            for optimizer in wanted:
                yield measure(case, optimizer, data, given.runs, pool)
        for pruner in PEERS if given.peers else ():
            runs = list(pool.map(partial(run_optuna, pruner, data), range(given.runs)))
            yield result("nlp", f"optuna {pruner}", {}, runs, epochs_of_all(nlp(data)))


def main() -> int:
    """Print a result for each case and optimizer."""
    given = arguments().parse_args()
    return figures.report(results(given), line, given.json)


if __name__ == "__main__":
    sys.exit(main())
