"""What Prometheus scrapes: counts that the master keeps as plain numbers, made into metrics when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from morphml_core.problem import Outcome, Report, Task
from morphml_distributed.dispatch.messages import Note

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
"""Upper bounds of the durations of trials, in seconds."""

_GONE = ("lost", "left")
_HEALTH = {
    "cpu": "Share of its CPU that is busy.",
    "memory": "Share of its memory that is used.",
    "disk_free": "Bytes that are free on its disk.",
    "gpu": "Share of its busiest GPU that is busy.",
    "gpu_memory": "Share of the memory of its fullest GPU that is used.",
    "temperature": "Degrees Celsius of its hottest GPU.",
}


class Tally:
    """Counts what happens; an observer of the master.  Read from another thread, it may be one event behind."""

    frequent = True

    def __init__(self) -> None:
        self.submissions = 0
        self.reports = 0
        self.notes: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.durations = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def submitted(self, task: Task) -> None:
        """One more task."""
        self.submissions += 1

    def noted(self, note: Note) -> None:
        """One more of its kind."""
        self.notes[note.kind] += 1

    def delivered(self, message: Report | Outcome) -> None:
        """One more report, or end."""
        if type(message) is not Outcome:
            self.reports += 1
            return
        self.outcomes["finished" if message.metrics is not None else str(message.cause or "cancelled")] += 1
        self.durations[bisect_left(BUCKETS, message.duration)] += 1
        self.seconds += message.duration

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""


class ClusterCollector(Collector):
    """Makes metrics of a tally and of a snapshot of the cluster.

    `snapshot` gives what `morphml cluster --json` shows, from any thread; None where the master does not answer.
    """

    def __init__(self, tally: Tally, snapshot: Callable[[], Mapping[str, Any] | None]) -> None:
        self._tally = tally
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._counts()
        held = self._snapshot()
        if held is not None:
            yield from self._cluster(held)
            yield from self._health([worker for worker in held["workers"] if worker["state"] not in _GONE])

    def _counts(self) -> Iterator[Metric]:
        tally = self._tally
        yield _counter("morphml_tasks_submitted", "Tasks that the search has submitted.", tally.submissions)
        yield _counter("morphml_reports", "Intermediate measurements that the search was given.", tally.reports)
        ends = CounterMetricFamily("morphml_tasks_ended", "Tasks that have ended, by how.", labels=["end"])
        for end, count in sorted(tally.outcomes.items()):
            ends.add_metric([end], count)
        yield ends
        notes = CounterMetricFamily("morphml_events", "What the dispatcher has noted, by kind.", labels=["kind"])
        for kind, count in sorted(tally.notes.items()):
            notes.add_metric([kind], count)
        yield notes
        yield self._durations()

    def _durations(self) -> Metric:
        found = HistogramMetricFamily("morphml_task_duration_seconds", "How long tasks took on their workers.")
        total, buckets = 0, []
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self._tally.durations, strict=True):
            total += count
            buckets.append((bound, total))
        found.add_metric([], buckets, self._tally.seconds)
        return found

    def _cluster(self, held: Mapping[str, Any]) -> Iterator[Metric]:
        yield _gauge("morphml_queue_length", "Tasks that wait for a worker.", _queued(held))
        yield _gauge("morphml_leases", "Tasks that workers have.", len(held["leases"]))
        yield _counter("morphml_dispatch_decisions", "Assignments of a task to a worker.", held["master"]["given"])
        yield _counter(
            "morphml_received_bytes", "Bytes of messages from workers and viewers.", held["master"]["received"]
        )
        yield _counter("morphml_sent_bytes", "Bytes of messages to workers and viewers.", held["master"]["sent"])
        yield _counter("morphml_refused", "Workers that were not let in.", held["master"]["refused"])
        states = GaugeMetricFamily("morphml_workers", "Workers by state.", labels=["state"])
        for state, count in sorted(Counter(worker["state"] for worker in held["workers"]).items()):
            states.add_metric([state], count)
        yield states
        for name, key, what in (
            ("morphml_failures", "causes", "Attempts that ended without a result, by cause."),
            ("morphml_retries", "retries", "Further attempts, by the cause of which the one before had failed."),
        ):
            found = CounterMetricFamily(name, what, labels=["cause"])
            for cause, count in sorted(held.get(key, {}).items()):
                found.add_metric([cause], count)
            yield found

    def _health(self, workers: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
        for name, what in _HEALTH.items():
            found = GaugeMetricFamily(f"morphml_worker_{name}", what, labels=["worker"])
            for worker in workers:
                value = (worker.get("health") or {}).get(name)
                if value is not None:
                    found.add_metric([worker["name"]], value)
            yield found


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(name, what, value=value)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _queued(held: Mapping[str, Any]) -> int:
    return sum(each["length"] for each in held["queue"])


def exposition(collector: Collector) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)
