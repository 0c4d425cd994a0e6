"""`adaptive` learns which workers are fast and which tasks are long, and acts on it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from morphml_core.problem import Budget, Resources, Task
from morphml_core.protocols import QueuedTask, WorkerView
from morphml_core.space.decisions import Genotype
from morphml_distributed.scheduler.adaptive import Adaptive, Config, component
from morphml_distributed.scheduler.durations import Durations, Predictions

SPEEDS = {"fast": 4.0, "plain": 1.0, "slow": 0.5}


def queued(number, width=0.5, epochs=4.0, since=0.0):
    task = Task(number, Genotype((number,)), seed=0, budget=Budget(int(epochs)))
    return QueuedTask(task, since, (epochs, 1.0, width))


def worker(name, running=(), prefetched=(), free=None):
    taken = Resources(0.0) if running else Resources()
    return WorkerView(name, Resources(), free or taken, running, prefetched)


def seconds(each, name):
    """How long tasks take here: their epochs, each e times as long on wide networks as on narrow ones, by the speed of the worker."""
    return each.features[0] * math.exp(2.0 * each.features[2]) / SPEEDS[name]


def taught(count=200, noise=0.1, speeds=SPEEDS, seed=0, scheduler=None):
    scheduler = scheduler or component.create(Config())
    rng = np.random.default_rng(seed)
    said = 0
    for number in range(10_000, 10_000 + count):
        each = queued(number, rng.random(), float(rng.choice([1, 3, 9])))
        name = str(rng.choice(list(SPEEDS)))
        took = seconds(each, name) * SPEEDS[name] / speeds[name] * math.exp(noise * rng.standard_normal())
        scheduler.task_rank(each)
        said += scheduler.observe(each, worker(name), took)
    return scheduler, said


def order(scheduler, tasks):
    return [each.task.number for each in sorted(tasks, key=scheduler.task_rank)]


def ranked(scheduler, names):
    return sorted(names, key=lambda name: scheduler.worker_rank(worker(name)))


def test_before_it_has_learnt_longer_budgets_go_first_and_workers_are_alike():
    scheduler = component.create(Config())
    assert order(scheduler, [queued(1, epochs=1.0), queued(2, epochs=9.0), queued(3, epochs=3.0)]) == [2, 3, 1]
    assert ranked(scheduler, ["slow", "fast"]) == ["slow", "fast"]


def test_longest_tasks_first_and_fastest_workers_first():
    scheduler, _ = taught()
    assert order(scheduler, [queued(1, 0.1), queued(2, 0.9), queued(3, 0.5), queued(4, 0.9, epochs=1.0)]) == [
        2,
        3,
        4,
        1,
    ]
    assert ranked(scheduler, ["slow", "plain", "fast"]) == ["fast", "plain", "slow"]
    assert ranked(scheduler, ["slow", "new", "fast"]) == ["fast", "new", "slow"]


def test_a_worker_that_has_work_counts_it():
    scheduler, _ = taught()
    busy, slow = worker("fast", (1,), (2, 3, 4, 5)), worker("plain")
    assert scheduler.worker_rank(slow) < scheduler.worker_rank(busy)
    assert scheduler.worker_rank(worker("fast", (1,), (2,))) < scheduler.worker_rank(worker("slow"))


def test_overtaking_ends():
    scheduler, _ = taught(noise=0.0)
    short, long = queued(1, 0.1, 1.0, since=0.0), queued(2, 0.9, 9.0, since=100.0)
    assert order(scheduler, [short, long]) == [2, 1]
    assert order(scheduler, [short, queued(2, 0.9, 9.0, since=1e4)]) == [1, 2]
    strict = component.create(Config(overtake=0.0))
    assert order(strict, [queued(2, 0.9, 9.0, since=1.0), short]) == [1, 2]


def test_a_task_waits_for_a_fast_worker_and_not_for_a_slow_one():
    scheduler, _ = taught()
    running, waiting = queued(1), queued(2)
    for each in (running, waiting):
        scheduler.task_rank(each)
    assert scheduler.waits(waiting, worker("slow"), worker("fast", running=(1,)))
    assert not scheduler.waits(waiting, worker("plain"), worker("slow", running=(1,)))
    assert not scheduler.waits(waiting, worker("plain"), worker("plain", running=(1,)))
    for ahead in range(3, 40):
        scheduler.task_rank(queued(ahead))
    assert not scheduler.waits(waiting, worker("slow"), worker("fast", (1,), tuple(range(3, 40))))


def test_an_idle_worker_steals_where_the_task_ends_earlier():
    scheduler, _ = taught()
    for number, width in ((1, 1.0), (2, 0.0)):
        scheduler.task_rank(queued(number, width))
    assert scheduler.steals(worker("plain"), worker("slow", (1,), (2,)))
    assert not scheduler.steals(worker("slow"), worker("fast", (2,), (1,)))
    assert not scheduler.steals(worker("plain", prefetched=(3,)), worker("slow", (1,), (2,)))
    assert not scheduler.steals(worker("plain"), worker("slow", (1,)))


def test_durations_are_learnt():
    durations, rng = Durations(), np.random.default_rng(1)
    for number in range(400):
        each, name = queued(number, rng.random(), float(rng.choice([1, 3, 9]))), str(rng.choice(list(SPEEDS)))
        durations.learn(each.features, name, seconds(each, name) * math.exp(0.1 * rng.standard_normal()))
    found = durations.predictions()
    for width, epochs, name in [(0.2, 1.0, "fast"), (0.8, 9.0, "slow"), (0.5, 27.0, "plain")]:
        each = queued(0, width, epochs)
        assert found.work(each.features) + found.pace(name) == pytest.approx(math.log(seconds(each, name)), abs=0.1)
    assert found.pace("slow") - found.pace("fast") == pytest.approx(math.log(8), abs=0.05)


def test_a_worker_is_not_slow_because_it_gets_the_long_tasks():
    durations, rng = Durations(), np.random.default_rng(2)
    for number in range(300):
        name = ("plain", "fast")[number % 2]
        each = queued(number, rng.uniform(0.4, 1.0) if name == "fast" else rng.uniform(0.0, 0.6))
        durations.learn(each.features, name, seconds(each, name))
    found = durations.predictions()
    assert found.pace("plain") - found.pace("fast") == pytest.approx(math.log(4), abs=0.05)


def test_the_sums_solve_the_least_squares_problem():
    durations, rng = Durations(), np.random.default_rng(3)
    rows, targets, weights, count = [], [], [], 40
    names = ["a", "b", "c"]
    fading = 1 - 1 / (200 + 30 * 3)
    for name in names:  # all of them are known from the start, so that the fading is the same for all
        durations.learn((1.0, 1.0, 0.0), name, 1.0)
    start = durations._weight
    for number in range(count):
        width, name = rng.random(), names[number % 3]
        took = math.exp(rng.standard_normal())
        durations.learn((1.0, 1.0, width), name, took)
        rows.append([1.0, 0.0, 0.0, width, *(float(name == other) for other in names)])
        targets.append(math.log(took))
        weights.append(start / fading**number)
    for number, name in enumerate(names):
        rows.append([1.0, 0.0, 0.0, 0.0, *(float(name == other) for other in names)])
        targets.append(0.0)
        weights.append([1.0, 1 / (1 - 1 / 230), 1 / (1 - 1 / 230) / (1 - 1 / 260)][number])
    x, w = np.array(rows), np.array(weights)
    ridge = 0.1 * durations._weight * np.diag([1e-3, *[1.0] * 6])
    expected = np.linalg.solve(x.T @ (w[:, None] * x) + ridge, x.T @ (w * np.array(targets)))
    found = durations.predictions()
    expected[1:3] += 1.0  # epochs and share of the data are taken to count in full
    assert [*found.coefficients, *found.paces.values()] == pytest.approx(expected.tolist(), abs=1e-9)


def test_it_follows_a_worker_that_becomes_slow():
    scheduler, _ = taught(300)
    assert ranked(scheduler, SPEEDS) == ["fast", "plain", "slow"]
    taught(1200, speeds={"fast": 0.2, "plain": 1.0, "slow": 0.5}, seed=1, scheduler=scheduler)
    assert ranked(scheduler, SPEEDS) == ["plain", "slow", "fast"]


def test_everything_is_ranked_again_a_few_times_only():
    _, few = taught(100)
    _, many = taught(5000)
    assert 1 <= few <= 4
    assert many <= 12


def test_a_long_queue_is_ranked_again_rarely():
    scheduler = component.create(Config())
    for number in range(8000):
        scheduler.task_rank(queued(number, number % 7 / 7))
    _, said = taught(4000, scheduler=scheduler, noise=1.0)
    assert said <= 6


def test_durations_that_are_no_durations_do_no_harm():
    durations = Durations()
    for took in (0.0, math.inf, math.nan, -1.0, 1e300):
        durations.learn((0.0, 1.0, 5.0), "w", took)
    durations.learn((), "w", 1.0)
    durations.learn((1.0, 1.0, 1.0, 1.0, 1.0), "w", 1.0)
    found = durations.predictions()
    assert all(math.isfinite(each) for each in [*found.coefficients, *found.paces.values()])
    assert math.isfinite(found.work((1e300, 1.0, 1e300)))


def test_a_change_that_is_the_same_for_all_is_none():
    durations = Durations()
    for width in (0.1, 0.5, 0.9):
        durations.learn((1.0, 1.0, width), "w", 1.0)
    old = Predictions((0.0, 1.0, 1.0, 1.0), {"w": 0.0})
    assert not durations.differ(old, Predictions((3.0, 1.0, 1.0, 1.0), {"w": 0.0}))
    assert not durations.differ(old, Predictions((0.0, 1.0, 1.0, 1.01), {"w": 0.0}))
    assert durations.differ(old, Predictions((0.0, 1.0, 1.0, -1.0), {"w": 0.0}))
    assert durations.differ(old, Predictions((0.0, 1.0, 1.0, 1.0), {"w": 0.0, "v": 1.0}))


def test_a_thousand_workers_at_once():
    durations, rng = Durations(), np.random.default_rng(4)
    speeds = rng.lognormal(0.0, 0.5, 1000)
    for number in range(5000):
        durations.learn((1.0, 1.0, 0.5), f"w{number % 1000}", 10.0 / speeds[number % 1000])
    paces = durations.predictions().paces
    assert len(paces) == 1000
    found = np.array([paces[f"w{number}"] for number in range(1000)])
    assert float(np.corrcoef(found, -np.log(speeds))[0, 1]) > 0.99


def test_many_tasks_are_ranked_at_once_as_they_are_one_by_one() -> None:
    scheduler, rng = Adaptive(10.0), np.random.default_rng(0)
    queue = [
        QueuedTask(
            Task(number, Genotype(()), 0), float(number), (float(rng.integers(1, 9)), 1.0, *rng.random(3).tolist())
        )
        for number in range(100)
    ]
    for queued in queue:
        scheduler.task_rank(queued)
        scheduler.observe(queued, WorkerView("w", Resources(), Resources()), float(np.exp(queued.features[2])))
    found = [rank[0] for rank in scheduler.task_ranks(queue)]
    assert found == pytest.approx([scheduler.task_rank(queued)[0] for queued in queue])
