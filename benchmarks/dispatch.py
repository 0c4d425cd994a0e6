"""What scheduling policies cost, and what they bring.

    python benchmarks/dispatch.py --part decisions
    python benchmarks/dispatch.py --part situations --seeds 20 --output results
    python benchmarks/dispatch.py --part situations --lean

The part `decisions`: the time in which the dispatch machine hears of a result, learns from it and gives out the next task, for each policy, before 100,000
waiting tasks and 1,000 workers: the median, the 99th percentile and the longest by the clock, and the mean by the processor's time, in which lies
whatever is ranked again.  Memory is kept as in the master (`master/memory.py`), and nobody listens to the notes that come with each task.

The part `situations`: each policy in each situation of `situations.py` against `fifo`, with the same machines, tasks and seed, in simulated time
around the real dispatch machine (`stage.py`).  Printed are the means over the seeds of the ratios to `fifo`, and half the width of their 95 % interval:
of what the situation is about, of the time until all has ended, and of the mean wait; below 1 is better.  All tasks are handed to the master at once, or when
they come up; with `--lean` only so many as it has slots for, as a search does, so that it has few to choose among.

`--output FOLDER` writes `dispatch.json`, and `dispatch.png`.  How many tasks go through real workers in a second is measured by `throughput.py`.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import figures
import situations
import stage
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.plugins.units import Seconds
from morphml_core.problem import Outcome, Resources, Task
from morphml_core.protocols import Scheduler
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.messages import (
    Assign,
    Began,
    Capacity,
    Event,
    Instruction,
    Joined,
    Lease,
    Resulted,
    Submitted,
)
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.master.memory import Attic

POLICIES = ("fifo", "priority", "round_robin", "load_balancing", "work_stealing", "adaptive")


def scheduler(loader: Loader, policy: str) -> Scheduler:
    """A new scheduler of that policy, with its defaults."""
    found: Scheduler = loader.load(ComponentRef("scheduler", policy)).create()
    return found


# decisions --------------------------------------------------------------------------------------------


class Crowd:
    """A machine with so many workers, all of them busy, and so many tasks that wait, ten features each."""

    def __init__(self, policy: Scheduler, workers: int, waiting: int) -> None:
        self.now = 0.0
        self._rng = np.random.default_rng(0)
        self._machine = Machine(Rules(heartbeat=Seconds(stage.QUIET)), policy, 1)
        self._machine.hush(True)  # as the master does where nobody listens
        self._held: dict[str, list[tuple[Lease, Task]]] = {f"w{index}": [] for index in range(workers)}
        self._features: dict[int, tuple[float, ...]] = {}
        self._speeds = {name: float(self._rng.lognormal(0.0, 0.5)) for name in self._held}
        for name in self._held:
            self._tell(Joined(name, 1, Capacity(1.0, 64 * stage.GIB)))
        for _ in range(waiting + 2 * workers):
            self.submit()

    def submit(self) -> None:
        """One task more."""
        number, rng = len(self._features), self._rng
        self._features[number] = (float(rng.choice([1, 3, 9])), 1.0, *rng.random(8).tolist())
        task = Task(number, Genotype((number,)), seed=0, priority=float(rng.integers(3)), resources=Resources())
        self._tell(Submitted(task, self._features[number]))

    def decide(self, count: int) -> tuple[list[float], float]:
        """The results of so many workers, each of which is given something new.

        Seconds that each took by the clock, and all of them together of the processor: to ask for that takes as long as a decision.
        """
        events = [self._result(f"w{index}") for index in self._rng.choice(len(self._held), count, replace=False)]
        times, answers = [], []
        since, last = time.thread_time(), time.perf_counter()
        for event in events:
            answers.append(self._machine.handle(event, self.now))
            now = time.perf_counter()
            times.append(now - last)
            last = now
        spent = time.thread_time() - since
        for answer in answers:
            self._take(answer)
        return times, spent

    def _result(self, name: str) -> Resulted:
        lease, task = self._held[name].pop(0)
        took = math.exp(self._features[task.number][2] + 0.2 * self._rng.standard_normal()) / self._speeds[name]
        self._tell(Began(name, 1, lease, task.number))
        self.now += took / len(self._held)
        outcome = Outcome(task.number, task.attempt, {"value": 0.0}, duration=took, worker=name)
        return Resulted(name, 1, lease, outcome)

    def _tell(self, event: Event) -> None:
        self._take(self._machine.handle(event, self.now))

    def _take(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Assign):
                self._held[instruction.worker].append((instruction.lease, instruction.task))


def decisions(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The times of each policy, in microseconds."""
    loader = Loader()
    for policy in given.policies:
        attic = Attic()
        attic.open()
        crowd = Crowd(scheduler(loader, policy), given.workers, given.waiting)
        times: list[float] = []
        spent, batch = 0.0, max(1, min(100, given.workers // 2))
        while len(times) < given.decisions:
            if len(times) % 5000 == 0:
                attic.store()  # as the master does twice a second while its queue is long
            found, seconds = crowd.decide(batch)
            times += [each * 1e6 for each in found]
            spent += seconds
            for _ in range(batch):
                crowd.submit()
        attic.close()
        del crowd
        gc.collect()  # what this policy had is not to be cleared away while the next one is measured
        yield {
            "policy": policy, "workers": given.workers, "waiting": given.waiting, "decisions": len(times),
            "median_us": figures.rounded(statistics.median(times), 3), "p99_us": figures.rounded(float(np.quantile(times, 0.99)), 3),
            "longest_us": figures.rounded(max(times), 3), "processor_us": figures.rounded(spent * 1e6 / len(times), 3),
        }  # fmt: skip


# situations -------------------------------------------------------------------------------------------


def played(loader: Loader, policy: str, name: str, seed: int, given: argparse.Namespace) -> dict[str, float]:
    """All measures of one policy in one situation, by one seed."""
    play = situations.SITUATIONS[name].play(np.random.default_rng(seed), given.size)
    rules = Rules(heartbeat=Seconds(stage.QUIET), prefetch=given.prefetch)
    found = stage.Stage(scheduler(loader, policy), play.sites, rules, seed, given.lean).run(play.jobs, play.more)
    return {measure: compute(found) for measure, compute in situations.MEASURES.items()}


def compared(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each policy in each situation: the ratios to `fifo` of all measures, by seed."""
    loader = Loader()
    for name in given.situations:
        situation = situations.SITUATIONS[name]
        base = [played(loader, "fifo", name, seed, given) for seed in range(given.seeds)]
        for policy in given.policies:
            runs = [played(loader, policy, name, seed, given) for seed in range(given.seeds)]
            pairs = list(zip(runs, base, strict=True))
            ratios = {
                key: [figures.rounded(run[key] / fifo[key]) for run, fifo in pairs] for key in situations.MEASURES
            }
            yield {
                "situation": name, "policy": policy, "own": policy == situation.own, "lean": given.lean, "measure": situation.measure,
                "ratios": ratios, "values": {key: figures.rounded(statistics.fmean(run[key] for run in runs)) for key in ratios},
            }  # fmt: skip


def spread(ratios: Sequence[float]) -> tuple[float, float]:
    """The mean of some ratios, and half the width of its 95 % interval."""
    if len(ratios) < 2:
        return ratios[0], math.inf
    half = figures.quantile(len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))
    return statistics.fmean(ratios), half


def line(found: Mapping[str, Any]) -> str:
    """One result in words."""
    if "median_us" in found:
        shown = [f"{name} {found[f'{name}_us']:,g}" for name in ("median", "p99", "longest", "processor")]
        return f"{found['policy']:15} {', '.join(shown)} us"
    keys = dict.fromkeys([found["measure"], "makespan", "wait"])
    shown = [f"{key} {mean:.3f} ± {half:.3f}" for key in keys for mean, half in [spread(found["ratios"][key])]]
    return f"{found['situation']:15} {found['policy'] + (' *' if found['own'] else ''):17} {', '.join(shown)}"


def draw(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """A panel for each situation, with a bar for each policy; none where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    names = list(dict.fromkeys(found["situation"] for found in results))
    figure = Figure(figsize=(12.0, 3.0 * math.ceil(len(names) / 4)), layout="constrained")
    axes = figure.subplots(math.ceil(len(names) / 4), 4, squeeze=False).flat
    for name, axis in zip(names, axes, strict=False):
        here = [found for found in results if found["situation"] == name]
        bars = [spread(found["ratios"][found["measure"]]) for found in here]
        colors = ["C1" if found["own"] else "C0" for found in here]
        halves = [half if math.isfinite(half) else 0.0 for _, half in bars]
        axis.barh([found["policy"] for found in here], [mean for mean, _ in bars], xerr=halves, color=colors)
        axis.axvline(1.0, color="black", linewidth=0.8)
        axis.set_title(f"{name}: {here[0]['measure']}", fontsize=9)
        axis.invert_yaxis()
        axis.tick_params(labelsize=7)
    for axis in list(figure.axes)[len(names) :]:
        axis.axis("off")
    figure.supxlabel("ratio to fifo; the policy that exists for the situation is orange", fontsize=8)
    figure.savefig(path, dpi=110)


# the command line -------------------------------------------------------------------------------------


def noted(results: Iterator[dict[str, Any]], given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The results; when all are there they are written to the folder."""
    kept = []
    for found in results:
        kept.append(found)
        yield found
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        path = given.output / "dispatch.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        part = "".join(
            [given.part, ", lean" * given.lean, f", prefetch {given.prefetch}" * (given.prefetch is not None)]
        )
        path.write_text(json.dumps({**before, part: kept}, indent=1))
        if given.part == "situations":
            draw(
                given.output / f"{part.replace(', ', '-').replace(' ', '-').replace('situations', 'dispatch')}.png",
                kept,
            )


def main(given: Sequence[str] | None = None) -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", choices=("decisions", "situations"), default="situations")
    add("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    add("--situations", nargs="+", choices=situations.SITUATIONS, default=tuple(situations.SITUATIONS))
    add("--seeds", type=int, default=10)
    add("--size", type=float, default=1.0, help="how many tasks, as a share of the usual number")
    add("--lean", action="store_true", help="the master is given only as many tasks as it has slots for")
    add(
        "--prefetch",
        type=int,
        metavar="N",
        help="so many tasks ahead of each machine, instead of what their length suggests",
    )
    add("--workers", type=int, default=1_000)
    add("--waiting", type=int, default=100_000)
    add("--decisions", type=int, default=10_000)
    add("--output", type=Path, metavar="FOLDER")
    add("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(given)
    results = decisions(options) if options.part == "decisions" else compared(options)
    return figures.report(noted(results, options), line, options.json)


if __name__ == "__main__":
    sys.exit(main())
