"""A real cluster on this machine for the benchmarks: a search whose executor is `grpc`, and worker processes that join it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from morphml_core.experiment import events
from morphml_core.session import open_experiment


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def workers(count: int, port: int, folder: Path, options: Sequence[str] = ()) -> Iterator[None]:
    """So many worker processes, with one core each as far as the master knows."""
    program = [sys.executable, "-c", "from morphml_core.cli import main; main()", "worker"]
    common = ["--master", f"127.0.0.1:{port}", "--folder", str(folder), "--cpus", "1", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = []
    try:
        for index in range(count):
            with open(folder / f"worker-{index}.log", "ab") as log:
                command = [*program, *common, "--name", f"worker-{index}"]
                started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        yield
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def configuration(folder: Path, port: int, function: str, trials: int, executor: Mapping[str, Any] = {}) -> dict[str, Any]:  # fmt: skip
    """A random search, recorded in SQLite, on a master at that port."""
    return {
        "experiment": "benchmark",
        "objectives": ["value"],
        "space": {"name": "parameters", "decisions": {f"x{index}": {"real": [0, 1]} for index in range(8)}},
        "evaluator": {"name": "function", "function": function},
        "optimizer": "random",
        "executor": {"name": "grpc", "listen": f"127.0.0.1:{port}", **executor},
        "storage": f"sqlite:///{folder / 'benchmark.db'}",
        "output": str(folder / "results"),
        "hooks": [],
        "stop": {"trials": trials},
    }


def results(search: Mapping[str, Any]) -> list[float]:
    """Run the search; the seconds, on one clock, at which its results were recorded, in order."""
    experiment = open_experiment(search)
    try:
        experiment.run()
        log = experiment.storage.read()
    finally:
        experiment.close()
    return [event.time for event in log if isinstance(event, events.Finished)]


def rate(times: Sequence[float], warm: float = 0.2) -> float:
    """Results a second, without the first share of them."""
    first = int(len(times) * warm)
    return (len(times) - 1 - first) / (times[-1] - times[first])
