"""What a person sees of the dispatcher: the snapshot, and the story of a trial."""

from __future__ import annotations

from typing import Any

import attrs

from morphml_core.problem import Resources
from morphml_distributed.dispatch import needs
from morphml_distributed.dispatch.office import Office
from morphml_distributed.dispatch.workers import WorkerState


def snapshot(office: Office, now: float) -> dict[str, Any]:
    """All of it as JSON: `term`, `workers`, `queue` (by need), `delayed`, `leases`, `notes`, `causes` and `retries` (counts), `submitted`, `open`."""
    return {
        "term": office.term,
        "workers": [_worker(worker, now) for worker in office.workers.values()],
        "queue": [
            {"need": needs.told(lane.need), "resources": _resources(lane.need), "length": len(lane.tasks)}
            for lane in office.board.lanes.values()
        ],
        "delayed": sum(entry.start > now and entry.worker is None for entry in office.tasks.values()),
        "leases": [
            {
                "serial": serial,
                "trial": entry.number,
                "attempt": entry.task.attempt,
                "worker": entry.worker.name if entry.worker is not None else "",
                "state": entry.state,
                "step": entry.step,
            }
            for serial, entry in office.leases.items()
        ],
        "notes": dict(office.notes),
        "causes": dict(office.causes),
        "retries": dict(office.retries),
        "submitted": office.submissions,
        "open": len(office.tasks),
    }


def _resources(need: Resources) -> dict[str, Any]:
    return {**attrs.asdict(need), "labels": sorted(need.labels)}


def _worker(worker: WorkerState, now: float) -> dict[str, Any]:
    capacity = worker.capacity
    view = worker.view()
    return {
        "name": worker.name,
        "state": "draining" if worker.draining and worker.connected else worker.state,
        "capacity": {
            "cpus": capacity.cpus,
            "memory": capacity.memory,
            "gpus": [attrs.asdict(gpu) for gpu in capacity.gpus],
            "labels": sorted(capacity.labels),
        },
        "health": attrs.asdict(worker.health),
        "unhealthy": worker.unhealthy,
        "running": list(view.running),
        "prefetched": list(view.prefetched),
        "credit": worker.credit,
        "breaker": worker.breaker.state,
        "suspicion": round(worker.suspicion.phi(now), 3) if worker.connected else None,
        "silence": round(max(0.0, now - worker.suspicion.heard), 3),
        "assigned": worker.total,
        "finished": worker.finished,
        "lost": worker.lost,
    }


def story(office: Office, number: int) -> list[str]:
    """What has happened to a trial, a line each."""
    trial = office.trials.get(number) or office.over.get(number)
    return trial.lines() if trial is not None else []
