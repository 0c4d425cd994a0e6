"""The real processes of a cluster under chaos: one master, its workers, each started again when it dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import attrs
import yaml

from morphml_core.errors import MorphMLError
from morphml_distributed.chaos.network import Network

_STOPPED = {signal.SIGSTOP, signal.SIGCONT}


@attrs.frozen
class Setup:
    """What is to be run: `trials` of a search with a window, on `workers` workers, in a folder; the storage by its URL."""

    folder: Path
    workers: int
    trials: int
    seed: int
    storage: str

    def configuration(self, listen: str, function: str = "evaluate") -> dict[str, object]:
        """The configuration of the search."""
        files = {"authority": "ca.pem", "certificate": "master.pem", "key": "master.key", "token_file": "token"}
        security = {name: str(self.folder / "security" / file) for name, file in files.items()}
        return {
            "experiment": "chaos",
            "seed": self.seed,
            "objectives": ["score"],
            "space": {
                "name": "parameters",
                "decisions": {"a": {"choice": [0, 1, 2, 3]}, "b": {"integer": [0, 3]}, "x": {"real": [0, 1]}},
            },
            "evaluator": {"name": "function", "function": f"morphml_distributed.chaos.evaluation:{function}"},
            "optimizer": {"name": "regularized_evolution", "population": 12, "sample": 3},
            "executor": {"name": "grpc", "listen": listen, **security, "rules": {"poison": 1000}},
            "reproducible": {"window": 8},
            "trial": {"retries": 1000},
            "storage": self.storage,
            "output": str(self.folder / "results"),
            "hooks": [],
            "stop": {"trials": self.trials},
        }


class Program:
    """A process that is started again `after` seconds when it dies.  `ended` is its exit code where it ended as it should."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._log, self._environment = list(command), log, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._again: float | None = 0.0
        self.starts = 0
        self.ended: int | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs (or is stopped)."""
        return self._process is not None and self._process.poll() is None

    def tend(self) -> bool:
        """Start it, where it is time to; returns whether it was started."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            if code == 0:
                self.ended = code
            self._again = self._again if self._again is not None else time.monotonic()
        if self.ended is not None or self._process is not None or self._again is None or time.monotonic() < self._again:
            return False
        self._again = None
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0, env=dict(self._environment),
            )  # fmt: skip
        return True

    def signal(self, number: signal.Signals, again: float = 0.0) -> bool:
        """Send it a signal; when that kills it, it starts again so many seconds later."""
        if not self.alive or self._process is None:
            return False
        if number not in _STOPPED:
            self._again = time.monotonic() + again
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return True

    def end(self) -> None:
        """Kill it for good, and what it has started."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Lab:
    """Writes the files, and keeps master and workers running.  To be closed.  Raises `MorphMLError` where the certificates cannot be made."""

    def __init__(self, setup: Setup, network: Network | None) -> None:
        self.setup, self.network = setup, network
        self.clock = setup.folder / "clock"
        self.clock.write_text("0")
        host = network.address if network else "127.0.0.1"
        self.address = f"{host}:{_free_port(host)}"
        self._certify(host)
        self.config = setup.folder / "chaos.yaml"
        self.config.write_text(yaml.safe_dump(setup.configuration(self.address), sort_keys=False))
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.master = self._program("master", [sys.executable, "-m", f"{__package__}.clock", str(self.clock), "run", str(self.config)])  # fmt: skip
        self.workers = [self._program(f"worker-{index}", self._worker(index)) for index in range(setup.workers)]

    def _certify(self, host: str) -> None:
        command = [*_morphml("cluster", "init"), str(self.setup.folder / "security"), "--host", host]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MorphMLError(f"the certificates of the cluster cannot be made: {done.stderr.strip()}")

    def _worker(self, index: int) -> list[str]:
        folder = self.setup.folder / "security"
        command = _morphml("worker", "--master", self.address, "--name", f"worker-{index}", "--cpus", "1")
        command += ["--folder", str(self.setup.folder), "--authority", str(folder / "ca.pem")]
        command += ["--certificate", str(folder / "worker.pem"), "--key", str(folder / "worker.key")]
        command += ["--token-file", str(folder / "token")]
        return self.network.command(index, command) if self.network else command

    def _program(self, name: str, command: Sequence[str]) -> Program:
        return Program(name, command, self.setup.folder / f"{name}.log", self._environment)

    def tend(self) -> list[str]:
        """Start what is to be started; returns the names."""
        return [program.name for program in (self.master, *self.workers) if program.tend()]

    @property
    def over(self) -> bool:
        """Whether the search has ended by itself."""
        return self.master.ended == 0

    def close(self) -> None:
        """End everything."""
        for program in (self.master, *self.workers):
            program.end()
        if self.network is not None:
            self.network.close()


def _morphml(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from morphml_core.cli import main; main()", *arguments]


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
