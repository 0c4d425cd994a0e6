"""Hosts on one machine: a network namespace for each worker, which can be cut off and healed.  Needs root and `ip` (iproute2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from morphml_core.errors import MorphMLError


def why_not() -> str | None:
    """Why there can be no namespaces here, in words; None where they work."""
    if shutil.which("ip") is None:
        return "the command `ip` (iproute2) is not there"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    name = f"morphml-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"`ip netns add` says: {tried.stderr.strip()}"
    _ip("netns", "del", name)
    return None


class Network:
    """A bridge with an address for the master, and a namespace with an address for each worker.  To be closed."""

    def __init__(self, workers: int) -> None:
        self._mark = os.getpid() % 50000
        block = f"10.{200 + self._mark // 250 % 50}.{self._mark % 250}"
        self.address = f"{block}.1"
        self._workers = workers
        self._bridge = f"mmc{self._mark}"
        try:
            self._build(block)
        except BaseException:
            self.close()
            raise

    def _build(self, block: str) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for worker in range(self._workers):
            space, outer, inner = self._space(worker), self._outer(worker), f"mmi{self._mark}x{worker}"
            _ip("netns", "add", space)
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            _ip("link", "set", inner, "netns", space)
            _ip("link", "set", outer, "master", self._bridge, "up")
            _ip("-n", space, "addr", "add", f"{block}.{worker + 2}/24", "dev", inner)
            _ip("-n", space, "link", "set", inner, "up")
            _ip("-n", space, "link", "set", "lo", "up")

    def command(self, worker: int, command: Sequence[str]) -> list[str]:
        """The command, to be run on the host of a worker."""
        return ["ip", "netns", "exec", self._space(worker), *command]

    def cut(self, worker: int) -> None:
        """Nothing goes from or to this worker any more."""
        _ip("link", "set", self._outer(worker), "down")

    def heal(self, worker: int) -> None:
        """The worker is connected again."""
        _ip("link", "set", self._outer(worker), "up")

    def close(self) -> None:
        """Take everything down; what is not there is passed over."""
        for worker in range(self._workers):
            _ip("netns", "del", self._space(worker), strict=False)
            _ip("link", "del", self._outer(worker), strict=False)
        _ip("link", "del", self._bridge, strict=False)

    def _space(self, worker: int) -> str:
        return f"morphml-chaos-{self._mark}-{worker}"

    def _outer(self, worker: int) -> str:
        return f"mmo{self._mark}x{worker}"


def _ip(*arguments: str, strict: bool = True) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if strict and done.returncode:
        raise MorphMLError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
