"""How many tasks that do nothing go through a cluster in a second, next to Ray and Dask.

    python benchmarks/throughput.py [--tasks 20000] [--workers 4] [--runs 5] [--json]

MorphML: a whole search through a real master and real worker processes, each proposal, submission and result recorded in SQLite before it
counts; with `--isolation none` the workers evaluate in their own process, as those of Ray and Dask do, and with `--isolation processes` (the
default of `morphml worker`) in a child process that can be killed.  Ray and Dask: the same number of worker processes, one call that maps a function over all tasks and waits for the
results, which are recorded nowhere.  The three run in turn, `--runs` times; the first fifth of the tasks of each run is not counted.  Printed are
the medians, and the median of the ratios to the better of Ray and Dask in the same turn, with their range.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cluster
import figures


def morphml(tasks: int, workers: int, isolation: str) -> float:
    """Tasks a second of a whole search."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), cluster.free_port()
        (folder / "throughput.py").write_text("def nothing(candidate):\n    return 1.0\n")
        search = cluster.configuration(folder, port, f"{folder / 'throughput.py'}:nothing", tasks)
        with cluster.workers(workers, port, folder, ["--isolation", isolation]):
            return cluster.rate(cluster.results(search))


def ray(tasks: int, workers: int) -> float:
    """Tasks a second of Ray."""
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    try:
        remote: Any = ray.remote(num_cpus=1)(lambda index: None)
        return _mapped(tasks, lambda count: ray.get([remote.remote(index) for index in range(count)]))
    finally:
        ray.shutdown()


def dask(tasks: int, workers: int) -> float:
    """Tasks a second of Dask."""
    import distributed

    engine: Any = distributed  # its types are partly there

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with engine.LocalCluster(**options) as held, engine.Client(held) as client:
        return _mapped(tasks, lambda count: client.gather(client.map(lambda index: None, range(count), pure=False)))


def _mapped(tasks: int, call: Callable[[int], object]) -> float:
    call(tasks // 5)
    since = time.perf_counter()
    call(tasks - tasks // 5)
    return (tasks - tasks // 5) / (time.perf_counter() - since)


SYSTEMS: Mapping[str, Callable[[int, int], float]] = {
    "morphml": lambda tasks, workers: morphml(tasks, workers, "none"),
    "morphml-isolated": lambda tasks, workers: morphml(tasks, workers, "processes"),
    "ray": ray,
    "dask": dask,
}
"""How each is measured: tasks a second, of so many tasks and workers."""


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rates of all, turn by turn, each in a process of its own; then the ratios."""
    rates: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for _ in range(given.runs):
        for name in SYSTEMS:
            rates[name].append(_apart(name, given))
            print(f"{name}: {rates[name][-1]:,.0f}", file=sys.stderr)
    for name, found in rates.items():
        ratios = [each / max(peers) for each, *peers in zip(found, rates["ray"], rates["dask"], strict=True)]
        yield {
            "system": name, "workers": given.workers, "tasks": given.tasks, "rates": found, "ratios": ratios,
        }  # fmt: skip


def _apart(name: str, given: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--only", name, "--tasks", str(given.tasks), "--workers", str(given.workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def line(found: Mapping[str, Any]) -> str:
    """One system in words."""
    ratios = sorted(found["ratios"])
    rate, ratio = statistics.median(found["rates"]), statistics.median(ratios)
    spread = f"{ratio:.2f} times the better of Ray and Dask ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"{found['system']}: {rate:,.0f} tasks/s, {spread}"


def main(given: Sequence[str] | None = None) -> int:
    """Run all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--only", choices=list(SYSTEMS), help="measure this system once, and print its rate alone")
    options = parser.parse_args(given)
    if options.only is not None:
        warnings.simplefilter("ignore")  # both engines warn of how they are run here
        print(SYSTEMS[options.only](options.tasks, options.workers))
        return 0
    return figures.report(measured(options), line, options.json)


if __name__ == "__main__":
    sys.exit(main())
