"""A search that trains, one of whose two workers is killed midway, and what became of it.

    python benchmarks/interrupted.py [--executor grpc ray dask] [--dataset fashion_mnist] [--trials 3] [--epochs 3] [--json]

First the search runs in this process, undisturbed.  Then it runs on each executor with two workers; when all running trials have an epoch behind them, a
process that evaluates it is killed together with its worker (of Ray and Dask: with the engine's process).  Printed are whether every trial has the metrics of the
undisturbed search, how many attempts were lost, and the epochs that the lost trial did not train again, as it went on from its checkpoint.  Exits 1 where a
trial differs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil

import cluster
import figures
from morphml_core.experiment import events
from morphml_core.experiment.events import Event
from morphml_core.problem import TrialState
from morphml_core.session import open_experiment

CHILD = "morphml_core.executor._child"
EXECUTORS: Mapping[str, Mapping[str, Any]] = {
    "grpc": {"name": "grpc"},
    "ray": {"name": "ray", "address": "local", "cpus": 2},
    "dask": {"name": "dask", "workers": 2},
}


def search(given: argparse.Namespace) -> dict[str, Any]:
    """The configuration, but for the executor and where it is recorded."""
    return {
        "experiment": "interrupted",
        "seed": 3,
        "objectives": ["accuracy"],
        "space": {"name": "cnn", "stages": [1, 2], "depth": [1, 2], "widths": [4, 8]},
        "evaluator": {"name": "train", "dataset": given.dataset, "epochs": given.epochs},
        "optimizer": "random",
        "reproducible": {"window": 2},
        "hooks": [],
        "stop": {"trials": given.trials},
    }


def run(configuration: Mapping[str, Any]) -> Sequence[Event]:
    """The record of a search."""
    experiment = open_experiment(configuration)
    try:
        experiment.run()
        return experiment.storage.read()
    finally:
        experiment.close()


def kill(configuration: Mapping[str, Any], over: threading.Event) -> None:
    """Wait until every running trial has reported, and kill the process above one that evaluates, and that one with it."""
    while not over.is_set():
        time.sleep(0.2)
        children = [each for each in psutil.Process().children(recursive=True) if _evaluates(each)]
        if children and _midway(configuration):
            busiest = max(children, key=lambda each: sum(each.cpu_times()[:2]))
            os.kill(busiest.ppid(), signal.SIGKILL)
            return


def _midway(configuration: Mapping[str, Any]) -> bool:
    """Whether trials run, and each has an epoch behind it."""
    if not Path(configuration["storage"].removeprefix("sqlite:///")).exists():
        return False
    experiment = open_experiment(configuration)
    try:
        running = [each for each in experiment.state.trials.values() if each.state is TrialState.RUNNING]
    finally:
        experiment.close()
    return bool(running) and all(each.curve for each in running)


def _evaluates(process: psutil.Process) -> bool:
    try:
        return CHILD in " ".join(process.cmdline())
    except psutil.Error:
        return False


def disturbed(name: str, given: argparse.Namespace, folder: Path) -> Sequence[Event]:
    """The record of the search on an executor one of whose workers is killed."""
    port = cluster.free_port()
    executor = {**EXECUTORS[name], **({"listen": f"127.0.0.1:{port}"} if name == "grpc" else {})}
    configuration = {
        **search(given), "executor": executor, "storage": f"sqlite:///{folder / name}.db", "output": str(folder / name),
    }  # fmt: skip
    over = threading.Event()
    killer = threading.Thread(target=kill, args=(configuration, over))
    with cluster.workers(2, port, folder) if name == "grpc" else nullcontext():
        killer.start()
        try:
            return run(configuration)
        finally:
            over.set()
            killer.join()


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One result an executor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quiet = run({**search(given), "executor": "inline", "storage": "memory", "output": str(folder / "quiet")})
        for executor in given.executor:
            log = disturbed(executor, given, folder)
            lost = [event for event in log if isinstance(event, events.Lost)]
            yield {
                "executor": executor, "dataset": given.dataset, "trials": given.trials, "epochs": given.epochs,
                "lost": len(lost), "kept": [_kept(log, event) for event in lost], "equal": _metrics(log) == _metrics(quiet),
            }  # fmt: skip


def _kept(log: Sequence[Event], lost: events.Lost) -> int:
    """How many epochs of a lost attempt came back at once: as many as were reported within a fifth of an epoch after the first."""
    mine = [event for event in log if isinstance(event, events.Reported) and event.number == lost.number]
    before, after = [e for e in mine if e.time <= lost.time], [e for e in mine if e.time > lost.time]
    if not before or not after:
        return 0
    epoch = max(after[-1].time - after[0].time, 1e-9) / max(1, len(after) - len(before))
    return sum(event.time - after[0].time < 0.2 * epoch for event in after[: len(before)])


def _metrics(log: Sequence[Event]) -> dict[int, dict[str, float]]:
    finished = [event for event in log if isinstance(event, events.Finished)]
    return {each.number: {k: v for k, v in each.metrics.items() if k != "seconds"} for each in finished}


def line(found: Mapping[str, Any]) -> str:
    """One executor in words."""
    end = "every trial as undisturbed" if found["equal"] else "SOME TRIALS DIFFER"
    return f"{found['executor']}, {found['dataset']}: {found['lost']} attempts lost, {found['kept']} epochs kept, {end}"


def main(given: Sequence[str] | None = None) -> int:
    """Run it on each executor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", nargs="+", choices=list(EXECUTORS), default=list(EXECUTORS))
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(given)
    equal: list[bool] = []

    def noted() -> Iterator[dict[str, Any]]:
        for found in measured(options):
            equal.append(found["equal"])
            yield found

    return figures.report(noted(), line, options.json) or int(not all(equal))


if __name__ == "__main__":
    sys.exit(main())
