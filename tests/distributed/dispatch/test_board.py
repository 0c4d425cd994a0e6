"""The order of tasks and workers, and what a decision costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from morphml_core.problem import Cause, Resources, Task
from morphml_core.protocols import QueuedTask, Rank, WorkerView
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.board import Board
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.dispatch.tasks import Entry, Trial
from morphml_distributed.dispatch.workers import WorkerState


class Contrary:
    """High numbers first, to the worker with the last name that is least loaded; turns round when it has seen a task."""

    def __init__(self) -> None:
        self.sign = -1
        self.patient = False

    def task_rank(self, queued: QueuedTask) -> Rank:
        return (self.sign * queued.task.number,)

    def worker_rank(self, worker: WorkerView) -> Rank:
        return (float(len(worker.running)), -float(ord(worker.name[-1])))

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        self.sign = 1
        return True

    def waits(self, queued: QueuedTask, free: WorkerView, busy: WorkerView) -> bool:
        return self.patient


def numbers(cluster: Any) -> list[tuple[int, str]]:
    return [(each.task.number, each.worker) for each in cluster.all(m.Assign)]


def test_tasks_and_workers_go_by_their_ranks(make: Callable[..., Any]) -> None:
    cluster = make(scheduler=Contrary())
    cluster.submit(1, 2, 3)
    cluster.join("a", 1.0)
    assert numbers(cluster) == [(3, "a")]
    cluster.join("b", 1.0)
    assert numbers(cluster) == [(2, "b")]
    cluster.submit(*range(10, 14))
    cluster.join("c", 2.0)
    cluster.join("d", 2.0)
    assert numbers(cluster) == [(11, "d"), (10, "d")]


def test_equal_workers_take_turns_where_the_rank_says_so(make: Callable[..., Any]) -> None:
    cluster = make(scheduler=Contrary())
    for name in "ab":
        cluster.join(name, 2.0)
    cluster.submit(1, 2, 3, 4)
    assert numbers(cluster) == [(1, "b"), (2, "a"), (3, "b"), (4, "a")]


def test_everything_is_ranked_again_when_the_scheduler_has_learned(make: Callable[..., Any]) -> None:
    cluster = make(Rules(prefetch=0), scheduler=Contrary())
    cluster.join("a", 1.0)
    cluster.submit(9)
    first = cluster.one(m.Assign)
    cluster.submit(1, 2, 3)
    cluster.finish(first)
    assert numbers(cluster) == [(1, "a")]


def test_a_patient_scheduler_may_choose_a_busy_worker(make: Callable[..., Any]) -> None:
    scheduler = Contrary()
    cluster = make(Rules(prefetch=1), scheduler=scheduler)
    cluster.join("a", 1.0)
    cluster.submit(1)
    cluster.join("b", 1.0)
    scheduler.patient = True
    cluster.submit(2, 3)
    assert numbers(cluster) == [(2, "a"), (3, "b")]
    assert cluster.worker("a")["prefetched"] == [2]


def test_a_trial_goes_to_a_worker_that_it_was_not_lost_on_where_there_is_one(make: Callable[..., Any]) -> None:
    cluster = make(Rules(backoff=0.0))
    cluster.join("a", 1.0)
    cluster.join("b", 1.0)
    cluster.submit(1)
    cluster.result(cluster.one(m.Assign), cause=Cause.LOST, message="its process died")
    cluster.submit(1, attempt=2)
    assert numbers(cluster) == [(1, "b")]


def test_many_different_needs_do_not_pile_up(make: Callable[..., Any]) -> None:
    cluster = make()
    cluster.join("a", 1.0)
    for number in range(100):
        cluster.submit(number, memory=1000 + number)
        cluster.finish(cluster.one(m.Assign), 100.0)
    assert len(cluster.machine.snapshot(0.0)["queue"]) <= 32


class Plain(Contrary):
    def __init__(self) -> None:
        super().__init__()
        self.sign = 1


@pytest.mark.parametrize("tasks", [100, 20_000])
def test_a_decision_costs_the_same_however_many_tasks_wait(tasks: int) -> None:
    board, rules = Board(Plain()), Rules()
    for order in range(200):
        worker = board.workers[f"w{order}"] = WorkerState(f"w{order}", order, rules)
        worker.join(1, m.Capacity(4.0, 2**33), 0.0)
        board.touch(worker)
    for number in range(tasks):
        task = Task(number, Genotype(()), 0, resources=Resources(1.0))
        board.add(Entry(QueuedTask(task, 0.0), Trial(number), number))
    board.refresh()
    best = float("inf")
    for attempt in range(5):
        since = time.process_time()
        for order in range(100):
            board.touch(board.workers[f"w{(attempt * 37 + order) % 200}"])
            board.refresh()
            found = board.next()
            assert found is not None
            assert found[0].first(found[0].room, ()) is not None
        best = min(best, (time.process_time() - since) / 100)
    assert best < 500e-6, f"{1e6 * best:.0f} microseconds"


def test_a_long_queue_is_ranked_again_bit_by_bit() -> None:
    scheduler = Contrary()
    board = Board(scheduler)
    worker = board.workers["w"] = WorkerState("w", 0, Rules())
    worker.join(1, m.Capacity(4.0, 2**33), 0.0)
    board.touch(worker)
    entries = [
        Entry(QueuedTask(Task(n, Genotype(()), 0, resources=Resources(1.0)), 0.0), Trial(n), n) for n in range(5003)
    ]
    for entry in entries[1:5000]:
        board.add(entry)
    board.refresh()
    scheduler.sign = 1
    board.rank_again()
    rounds = 0
    while board.ranking:
        found = board.next()
        assert found is not None
        assert (found[1].number == 4999) == (rounds == 0)
        board.remove(found[1])
        board.add(entries[5000 + rounds % 3]) if rounds < 3 else None
        board.go_on()
        rounds += 1
    assert rounds > 2
    order = []
    while (found := board.next()) is not None:
        order.append(found[1].number)
        board.remove(found[1])
    assert order == sorted(order)
    assert len(order) == 4999 + 3 - rounds
