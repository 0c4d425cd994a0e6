"""What must always hold.  For tests: it looks at everything."""

from __future__ import annotations

from morphml_distributed.dispatch.needs import EPSILON
from morphml_distributed.dispatch.office import Office
from morphml_distributed.dispatch.tasks import LEASED, RUNNING, WAITING, Entry
from morphml_distributed.dispatch.workers import WorkerState


def check(office: Office) -> None:
    """Raises `AssertionError` with a sentence where something does not fit together."""
    assert set(office.trials) == set(office.tasks), "each open trial has one open task"
    assert not set(office.trials) & set(office.over), "no trial is both open and over"
    for entry in office.tasks.values():
        _check_task(office, entry)
    for serial, entry in office.leases.items():
        assert entry.lease is not None and entry.lease.serial == serial, f"lease {serial} is that of its task"  # noqa: PT018
        assert office.tasks.get(entry.number) is entry, f"lease {serial} is that of an open task"
    _check_board(office)
    for worker in office.workers.values():
        _check_worker(office, worker)


def _check_task(office: Office, entry: Entry) -> None:
    if entry.state == WAITING:
        assert entry.worker is None and entry.lease is None, entry.complaint("it waits, and has a worker")  # noqa: PT018
        assert entry.lane is not None or entry.start > office.now, entry.complaint("it waits, and is on no queue")
    else:
        assert entry.state in (LEASED, RUNNING), entry.complaint("it is open, and over")
        assert entry.worker is not None and entry.lease is not None, entry.complaint("it is leased to nobody")  # noqa: PT018
        assert office.leases.get(entry.lease.serial) is entry, entry.complaint("its lease is not known")
        assert entry.worker.entries.get(entry.lease.serial) is entry, entry.complaint("its worker does not have it")
        assert entry.worker.connected, entry.complaint("its worker is gone")
        assert entry.lane is None, entry.complaint("it is leased, and waits")
        assert entry.state != RUNNING or entry.allocated, entry.complaint("it runs and holds nothing")


def _check_board(office: Office) -> None:
    board = office.board
    assert board.waiting == sum(len(lane.tasks) for lane in board.lanes.values()), "the waiting tasks are counted"
    for lane in board.lanes.values():
        for entry in lane.tasks:
            assert entry.state == WAITING and entry.lane is lane, entry.complaint("it is on a queue")  # noqa: PT018
        assert not (lane.tasks and lane.room), f"a task waits although {lane.room.first[2].name} has room for it"
        for workers in (lane.room, lane.credit):
            for key in workers:
                assert key[2].willing, f"{key[2].name} is on offer, and wants nothing"


def _check_worker(office: Office, worker: WorkerState) -> None:
    name = worker.name
    for serial, entry in worker.entries.items():
        assert office.leases.get(serial) is entry and entry.worker is worker, entry.complaint(f"{name} has it")  # noqa: PT018
        assert (serial in worker.prefetched) != entry.allocated, entry.complaint("it holds something, or is prefetched")
    assert set(worker.prefetched) <= set(worker.entries), f"{name} has what it prefetches"
    assert set(worker.runs) == {entry.number for entry in worker.entries.values() if entry.allocated}, (
        f"{name} runs that"
    )
    stealable = {entry.number for entry in worker.prefetched.values() if entry.revoked is None}
    assert set(worker.stealable) == stealable, f"{name} can be stolen from"
    cpus, memory = worker.cpus, worker.memory
    shares, bytes_free = dict(worker.gpu_share), dict(worker.gpu_memory)
    worker.recount()
    assert abs(cpus - worker.cpus) < EPSILON and memory == worker.memory, f"the account of {name} is right"  # noqa: PT018
    assert bytes_free == worker.gpu_memory, f"the account of the GPU memory of {name} is right"
    for device, share in shares.items():
        assert abs(share - worker.gpu_share[device]) < EPSILON, f"the account of GPU {device} of {name} is right"
