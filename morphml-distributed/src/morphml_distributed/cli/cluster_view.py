"""A cluster as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from morphml_core.report.format import counted, duration, number

_STYLES = {
    "ready": "green",
    "suspected": "yellow",
    "unhealthy": "yellow",
    "draining": "yellow",
    "unable": "red",
    "open": "red",
}
_SHOWN = 8
_GONE = frozenset({"left", "lost"})


class Screen:
    """Shows snapshots: one after the other, or each in place of the former one."""

    def __init__(self, out: IO[str]) -> None:
        self._console = Console(file=out, highlight=False)
        self._live: Live | None = None

    @contextmanager
    def live(self, wanted: bool) -> Iterator[None]:
        """In this block, where it is wanted and this is a terminal, each snapshot takes the place of the former one."""
        if not (wanted and self._console.is_terminal):
            yield
            return
        with Live(console=self._console, auto_refresh=False, vertical_overflow="crop") as self._live:
            yield

    def show(self, snapshot: Mapping[str, Any]) -> None:
        """Show one."""
        if self._live is not None:
            self._live.update(render(snapshot), refresh=True)
        else:
            self._console.print(render(snapshot))


def render(snapshot: Mapping[str, Any]) -> RenderableType:
    """A head line, the workers, what is wrong with some of them, the queue."""
    workers = sorted(snapshot["workers"], key=lambda worker: str(worker["name"]))
    table: RenderableType = _workers(workers) if workers else Text("no worker is connected", style="yellow")
    return Group(_head(snapshot), table, *_troubles(workers), *_queue(snapshot))


def _troubles(workers: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    found = [(worker["name"], worker.get("reason") or worker.get("unhealthy")) for worker in workers]
    return [Text(f"{name}: {trouble}", style="red") for name, trouble in found if trouble]


def _head(snapshot: Mapping[str, Any]) -> Text:
    master = snapshot["master"]
    up = f"up {duration(master['uptime'])}"
    tasks = f"{number(_waiting(snapshot))} waiting, {number(_held(snapshot['workers']))} on workers"
    return Text(f"{master['experiment']} at {master['listen']}", style="bold").append(
        f"   {up}, {tasks}", style="not bold"
    )


def _waiting(snapshot: Mapping[str, Any]) -> int:
    return sum(each["length"] for each in snapshot["queue"])


def _held(workers: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(worker.get("running") or ()) + len(worker.get("prefetched") or ()) for worker in workers)


def _workers(workers: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    gpus = any((worker.get("capacity") or {}).get("gpus") for worker in workers)
    table.add_column("worker", no_wrap=True, overflow="ellipsis", min_width=8)
    table.add_column("state", no_wrap=True)
    table.add_column("running", overflow="ellipsis", no_wrap=True)
    for title in ("ahead", "cpu", "memory", *(("gpu",) if gpus else ()), "finished", "lost"):
        table.add_column(title, justify="right", no_wrap=True)
    for worker in workers:
        table.add_row(*_row(worker, gpus))
    return table


def _row(worker: Mapping[str, Any], gpus: bool) -> list[RenderableType]:
    health: Mapping[str, Any] = worker.get("health") or {}
    load = [_share(health.get(name)) for name in ("cpu", "memory", *(("gpu",) if gpus else ()))]
    running: Sequence[int] = worker.get("running") or ()
    return [
        str(worker["name"]), _state(worker), _numbers(running), str(len(worker.get("prefetched") or ()) or "-"), *load,
        number(worker.get("finished", 0)), number(worker.get("lost", 0)),
    ]  # fmt: skip


def _state(worker: Mapping[str, Any]) -> Text:
    state, breaker = str(worker["state"]), str(worker.get("breaker", "closed"))
    if state == "ready" and worker.get("unhealthy"):
        state = "unhealthy"
    if breaker != "closed":
        return Text(f"{state}, breaker {breaker.replace('_', '-')}", style="red")
    return Text(state, style=_STYLES.get(state, "dim" if state in _GONE else ""))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _numbers(running: Sequence[int]) -> str:
    if not running:
        return "-"
    shown = " ".join(map(str, running[:_SHOWN]))
    return f"{shown} +{len(running) - _SHOWN}" if len(running) > _SHOWN else shown


def _queue(snapshot: Mapping[str, Any]) -> list[RenderableType]:
    lanes = [each for each in snapshot["queue"] if each["length"]]
    lines = [f"waiting for {each['need']} each: {counted(each['length'], 'task')}" for each in lanes]
    if snapshot.get("delayed"):
        lines.append(f"waiting to be tried again: {counted(snapshot['delayed'], 'task')}")
    return [Text(line) for line in lines]
