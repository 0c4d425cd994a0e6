"""What share of the workers' time goes into tasks, as the workers become more.

    python benchmarks/scaling.py [--part simulated] [--workers 1 10 100 1000] [--policy fifo ...] [--output results] [--json]
    python benchmarks/scaling.py --part real [--workers 1 2 4 8 16 32]

The part `simulated`: the dispatcher of the executor `simulated_cluster` with each policy, workers of one core, and tasks that take `--seconds` (0.1) of
simulated time, over a network of half a millisecond and up to some more; `--tasks` (20) for each worker, handed in as a search does: as many as the
executor has places for.  The efficiency is the tasks' time divided by the workers' time, from the first task that is handed in to the last
result.  Also printed: events and tasks that were simulated in a second of processor time.

The part `real`: whole searches through a real master, recorded in SQLite, with worker processes that evaluate in threads; the tasks sleep, so
that two cores suffice for many.  The efficiency is the rate of results after the first fifth of them, times the length of a task, divided by the workers.

`--output FOLDER` writes `scaling.json` and `scaling.png`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

import cluster
import figures
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Outcome, Report, Resources, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch.messages import Capacity
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.simulation.cluster import Cluster, Machines, Plan

POLICIES = ("fifo", "priority", "round_robin", "load_balancing", "work_stealing", "adaptive")
COUNTS: Mapping[str, Sequence[int]] = {"simulated": (1, 10, 100, 1000), "real": (1, 2, 4, 8, 16, 32)}


@attrs.frozen
class Sleeping:
    """A workload of which each task takes as long, and does nothing."""

    seconds: float
    specification: None = None

    def run(self, task: Task) -> Generator[Report, None, Outcome]:
        """One metric."""
        yield from ()
        return Outcome(task.number, task.attempt, {"value": 1.0})

    def duration(self, task: Task) -> float:
        """What was said."""
        return self.seconds

    def epochs(self, task: Task) -> None:
        """None."""


def simulated(policy: str, workers: int, tasks: int, seconds: float) -> dict[str, Any]:
    """One simulated cluster."""
    part: Any = Loader().load(ComponentRef("scheduler", policy))
    plan = Plan([Machines("worker", workers, Capacity(1.0, 2**33))], part.create, Rules())
    simulated, total = Cluster(Sleeping(seconds), plan), tasks * workers
    since, begun, ended, submitted = time.process_time(), simulated.timeline.now, 0, 0
    while ended < total:
        room = simulated.slots(Resources()) - (submitted - ended)
        for number in range(submitted, min(total, submitted + room)):
            simulated.submit(Task(number, Genotype(()), 0), (1.0, 1.0))
            submitted += 1
        ended += sum(type(message) is Outcome for message in simulated.take())
    took, span = time.process_time() - since, simulated.timeline.now - begun
    return {
        "part": "simulated", "policy": policy, "workers": workers, "tasks": total, "seconds": seconds,
        "efficiency": figures.rounded(total * seconds / (workers * span)),
        "events_per_second": figures.rounded(simulated.timeline.events / took, 3),
        "tasks_per_second": figures.rounded(total / took, 3),
    }  # fmt: skip


def real(policy: str, workers: int, tasks: int, seconds: float) -> dict[str, Any]:
    """One search on real worker processes."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), cluster.free_port()
        sleep = f"import time\n\n\ndef sleep(candidate):\n    time.sleep({seconds})\n    return 1.0\n"
        (folder / "sleeping.py").write_text(sleep)
        search = cluster.configuration(
            folder, port, f"{folder / 'sleeping.py'}:sleep", tasks * workers, {"scheduler": policy}
        )
        with cluster.workers(workers, port, folder, ["--isolation", "none", "--slots", "1"]):
            rate = cluster.rate(cluster.results(search))
    return {
        "part": "real", "policy": policy, "workers": workers, "tasks": tasks * workers, "seconds": seconds,
        "efficiency": figures.rounded(rate * seconds / workers), "tasks_per_second": figures.rounded(rate, 3),
    }  # fmt: skip


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One policy and one number of workers after the other."""
    run = simulated if given.part == "simulated" else real
    found = []
    for policy in given.policy or (POLICIES if given.part == "simulated" else ("fifo",)):
        for workers in given.workers or COUNTS[given.part]:
            found.append(run(policy, workers, given.tasks, given.seconds))
            yield found[-1]
    if given.output is not None:
        write(given.output, found)


def write(folder: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """The results and their picture, added to those of other runs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "scaling.json"
    former = json.loads(path.read_text()) if path.exists() else []
    kept = {_key(each): each for each in [*former, *found]}
    path.write_text(json.dumps(list(kept.values()), indent=1))
    panels: dict[str, list[figures.Line]] = {}
    for part, policy in sorted({(each["part"], each["policy"]) for each in kept.values()}):
        mine = sorted(
            (each["workers"], each["efficiency"])
            for each in kept.values()
            if (each["part"], each["policy"]) == (part, policy)
        )
        line = figures.Line(policy, [x for x, _ in mine], [100 * y for _, y in mine], [0.0] * len(mine))
        panels.setdefault(f"{part} workers", []).append(line)
    figures.plot(folder / "scaling.png", panels, "workers", "efficiency, %", log_x=True)


def _key(found: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(found[name] for name in ("part", "policy", "workers", "seconds"))


def line(found: Mapping[str, Any]) -> str:
    """One result in words."""
    said = f"{found['part']}, {found['policy']}, {found['workers']:,} workers: efficiency {found['efficiency']:.1%}"
    if "events_per_second" in found:
        said += f"; {found['events_per_second']:,.0f} events and {found['tasks_per_second']:,.0f} tasks simulated in a second"
    return said


def main(given: Sequence[str] | None = None) -> int:
    """Run all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=list(COUNTS), default="simulated")
    parser.add_argument("--workers", type=int, nargs="+")
    parser.add_argument("--policy", choices=POLICIES, nargs="+")
    parser.add_argument("--tasks", type=int, default=20, help="for each worker")
    parser.add_argument("--seconds", type=float, default=0.1, help="that a task takes")
    parser.add_argument("--output", type=Path, help="folder for scaling.json and scaling.png")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(given)
    return figures.report(measured(options), line, options.json)


if __name__ == "__main__":
    sys.exit(main())
