"""The situations in which scheduling policies are compared: machines, tasks, and what is measured.  Everything comes from the seed."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs
import numpy as np

from stage import Job, Ran, Site

Measure: TypeAlias = Callable[[Sequence[Ran]], float]
More: TypeAlias = Callable[[Ran], Iterable[Job]]


@attrs.frozen
class Play:
    """What one seed makes of a situation: machines, the first jobs, and which follow from one that has ended."""

    sites: Sequence[Site]
    jobs: Sequence[Job]
    more: More = lambda ran: ()


@attrs.frozen
class Situation:
    """`own`: the policy that exists for it.  `measure`: the name, among `MEASURES`, of what counts there."""

    own: str
    measure: str
    play: Callable[[np.random.Generator, float], Play]


def makespan(ran: Sequence[Ran]) -> float:
    """Seconds until all has ended."""
    return max(each.ended for each in ran)


def turnaround(ran: Sequence[Ran]) -> float:
    """Mean seconds from submission to end."""
    return statistics.fmean(each.ended - each.queued for each in ran)


def wait(ran: Sequence[Ran]) -> float:
    """Mean seconds from submission to beginning; one second more, so that a ratio means something where nothing waits."""
    return 1.0 + statistics.fmean(each.wait for each in ran)


def first_full(ran: Sequence[Ran]) -> float:
    """Seconds until the first task of the largest budget has ended."""
    most = max(each.job.epochs for each in ran)
    return min(each.ended for each in ran if each.job.epochs == most)


def busiest(ran: Sequence[Ran]) -> float:
    """The share of the tasks that ran on the machine with most of them."""
    workers = [each.worker for each in ran]
    return max(map(workers.count, set(workers))) / len(workers)


def urgent_wait(ran: Sequence[Ran]) -> float:
    """Mean seconds from submission to end of the tasks of the highest priority."""
    most = max(each.job.priority for each in ran)
    return turnaround([each for each in ran if each.job.priority == most])


MEASURES: Mapping[str, Measure] = {
    "makespan": makespan, "turnaround": turnaround, "wait": wait, "first_full": first_full, "urgent": urgent_wait,
    "busiest": busiest,
}  # fmt: skip


def generations(first: Callable[[int], list[Job]], count: int) -> tuple[list[Job], More]:
    """Batches of which each is submitted when all of the one before has ended, as by a genetic algorithm or a rung."""
    numbers = iter(range(1, count))
    jobs = first(0)
    left = [len(jobs)]

    def more(ran: Ran) -> Iterable[Job]:
        left[0] -= 1
        if left[0]:
            return ()
        number = next(numbers, None)
        following = [] if number is None else first(number)
        left[0] = len(following)
        return following

    return jobs, more


def _features(rng: np.random.Generator) -> tuple[float, ...]:
    return (float(rng.choice([1, 3, 9])), 1.0, *rng.random(4).tolist())


def _learnable(number: int, rng: np.random.Generator, noise: float) -> Job:
    """A task whose duration follows from its features (log-linear in the epochs and in three of four numbers), but for noise."""
    features = _features(rng)
    epochs, _, depth, width, kernel, _ = features
    work = 2.0 * epochs * math.exp(1.5 * depth + 1.0 * width + 0.5 * kernel + noise * rng.standard_normal())
    return Job(number, work, epochs=int(epochs), features=features)


def speeds(rng: np.random.Generator, size: float) -> Play:
    """Eight machines, the fastest eight times as fast as the slowest, and generations of 32 tasks whose durations can be learnt."""
    sites = [
        Site(f"w{index}", speed=speed) for index, speed in enumerate(rng.permutation([4, 4, 2, 2, 1, 1, 0.5, 0.5]))
    ]
    numbers = itertools.count()
    jobs, more = generations(lambda _: [_learnable(next(numbers), rng, 0.2) for _ in range(32)], max(2, int(12 * size)))
    return Play(sites, jobs, more)


def lengths(rng: np.random.Generator, size: float) -> Play:
    """The same tasks on eight equal machines."""
    numbers = itertools.count()
    jobs, more = generations(lambda _: [_learnable(next(numbers), rng, 0.2) for _ in range(32)], max(2, int(12 * size)))
    return Play([Site(f"w{index}") for index in range(8)], jobs, more)


def tails(rng: np.random.Generator, size: float) -> Play:
    """Sixteen equal machines, and generations of 64 tasks, most of them a tenth of a second long and a few some seconds, which nothing foretells."""
    numbers = itertools.count()

    def first(_: int) -> list[Job]:
        works = np.minimum(6.0, 0.1 * (rng.pareto(1.1, 64) + 0.5))
        return [Job(next(numbers), float(work), features=_features(rng)) for work in works]

    jobs, more = generations(first, max(2, int(8 * size)))
    return Play([Site(f"w{index}") for index in range(16)], jobs, more)


def rungs(rng: np.random.Generator, size: float) -> Play:
    """Successive halving without waiting (ASHA): of each three that end on a rung one goes on, with three times the epochs; four rungs, eight machines."""
    count = max(27, int(162 * size) // 27 * 27)
    numbers, ended = itertools.count(count), [0] * 4

    noise = np.exp(0.3 * rng.standard_normal(2 * count)).tolist()

    def job(number: int, rung: int, continues: int | None) -> Job:
        epochs = 3**rung
        return Job(number, 4.0 * epochs * noise[number], epochs=epochs, continues=continues, features=(epochs, 1.0))

    def more(ran: Ran) -> Iterator[Job]:
        rung = round(math.log(ran.job.epochs, 3))
        ended[rung] += 1
        if rung < 3 and ended[rung] % 3 == 0:
            yield job(next(numbers), rung + 1, ran.job.number)

    return Play([Site(f"w{index}") for index in range(8)], [job(number, 0, None) for number in range(count)], more)


def urgent(rng: np.random.Generator, size: float) -> Play:
    """Eight equal machines with a long queue, into which an urgent task comes now and then (a finalist, a person's own question)."""
    count = max(40, int(400 * size))
    works = rng.lognormal(2.0, 0.6, count)
    span = float(works.sum()) / 8
    jobs = [Job(number, float(work)) for number, work in enumerate(works)]
    late = sorted(rng.uniform(0.05, 0.8, count // 20) * span)
    jobs += [Job(count + index, 8.0, at=float(at), priority=1.0) for index, at in enumerate(late)]
    return Play([Site(f"w{index}") for index in range(8)], jobs)


def _arriving(rng: np.random.Generator, count: int, cores: float, load: float, burst: int) -> list[Job]:
    """Tasks of one to four cores that come in bursts, so that on average a share `load` of the cores is taken."""
    jobs, at = [], 0.0
    for number in range(count):
        cpus, work = float(rng.choice([1, 2, 4])), float(rng.lognormal(2.5, 0.5))
        if number % burst == 0:
            at += float(rng.exponential(burst * 2.33 * 13.8 / (cores * load)))
        jobs.append(Job(number, work, at, cpus))
    return jobs


def sizes(rng: np.random.Generator, size: float) -> Play:
    """Machines of 4, 8, 16 and 32 cores, a third loaded, where a task takes up to twice as long when the rest of the machine is taken."""
    sites = [Site(f"w{index}", float(cpus), crowding=1.0) for index, cpus in enumerate(rng.permutation([4, 8, 16, 32]))]
    return Play(sites, _arriving(rng, max(40, int(400 * size)), 60.0, 0.3, 1))


def bursts(rng: np.random.Generator, size: float) -> Play:
    """Eight equal machines of 8 cores, a third loaded in bursts of 12 tasks; a task takes up to twice as long when the rest is taken."""
    sites = [Site(f"w{index}", 8.0, crowding=1.0) for index in range(8)]
    return Play(sites, _arriving(rng, max(48, int(400 * size)), 64.0, 0.33, 12))


def plain(rng: np.random.Generator, size: float) -> Play:
    """Eight equal machines, and equal tasks in one queue: nothing to win."""
    return Play(
        [Site(f"w{index}") for index in range(8)], [Job(number, 10.0) for number in range(max(40, int(400 * size)))]
    )


SITUATIONS: Mapping[str, Situation] = {
    "urgent tasks": Situation("priority", "urgent", urgent),
    "rungs": Situation("priority", "first_full", rungs),
    "bursts": Situation("round_robin", "turnaround", bursts),
    "uneven sizes": Situation("load_balancing", "turnaround", sizes),
    "long tails": Situation("work_stealing", "makespan", tails),
    "uneven speeds": Situation("adaptive", "makespan", speeds),
    "uneven lengths": Situation("adaptive", "makespan", lengths),
    "all equal": Situation("fifo", "makespan", plain),
}
