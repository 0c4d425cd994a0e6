from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from morphml_core.problem import Cause, Resources
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch import needs
from morphml_distributed.dispatch.rules import Rules

GIB = 2**30
GPUS = (m.Gpu("0", 16 * GIB), m.Gpu("1", 16 * GIB))


def given(cluster: Any) -> dict[int, tuple[str, tuple[str, ...]]]:
    return {each.task.number: (each.worker, each.gpus) for each in cluster.all(m.Assign)}


def test_cpus_are_not_oversubscribed(cluster: Any) -> None:
    cluster.join("w", 4.0)
    cluster.submit(1, 2, 3, cpus=1.5)
    assert set(given(cluster)) == {1, 2}


def test_fractions_of_cpus_add_up_in_spite_of_rounding(cluster: Any) -> None:
    cluster.join("w", 1.0)
    cluster.submit(*range(11), cpus=0.1)
    assert len(given(cluster)) == 10


def test_memory_is_not_oversubscribed(cluster: Any) -> None:
    cluster.join("w", 8.0, memory=10 * GIB)
    cluster.submit(1, 2, 3, memory=4 * GIB)
    assert set(given(cluster)) == {1, 2}


def test_fractions_share_one_gpu_and_leave_the_other_whole(cluster: Any) -> None:
    cluster.join("w", 8.0, gpus=GPUS)
    cluster.submit(1, 2, gpus=0.5)
    assert given(cluster) == {1: ("w", ("0",)), 2: ("w", ("0",))}
    cluster.submit(3, gpus=1.0)
    assert given(cluster) == {3: ("w", ("1",))}
    cluster.submit(4, gpus=0.25)
    assert given(cluster) == {}


def test_whole_gpus_must_be_free_and_are_given_back(cluster: Any) -> None:
    cluster.join("w", 8.0, gpus=GPUS)
    cluster.submit(1, gpus=0.5)
    first = cluster.one(m.Assign)
    cluster.submit(2, gpus=2.0)
    assert given(cluster) == {}
    cluster.finish(first)
    assert given(cluster) == {2: ("w", ("0", "1"))}


def test_gpu_memory_is_not_oversubscribed(cluster: Any) -> None:
    cluster.join("w", 8.0, gpus=GPUS)
    cluster.submit(1, 2, 3, gpus=0.1, gpu_memory=10 * GIB)
    assert given(cluster) == {1: ("w", ("0",)), 2: ("w", ("1",))}


def test_labels_must_all_be_there(cluster: Any) -> None:
    cluster.join("plain")
    cluster.join("good", labels=frozenset({"a100", "ssd"}))
    cluster.submit(1, labels=frozenset({"a100"}))
    assert given(cluster) == {1: ("good", ())}


def test_a_small_task_goes_where_the_first_one_does_not_fit(cluster: Any) -> None:
    cluster.join("w", 2.0)
    cluster.submit(1, cpus=1.0)
    cluster.submit(2, cpus=2.0)
    cluster.submit(3, cpus=1.0)
    assert set(given(cluster)) == {3}


def test_what_no_worker_can_hold_fails_when_patience_ends(cluster: Any) -> None:
    cluster.join("w", 4.0, gpus=GPUS[:1])
    cluster.join("v", 8.0, labels=frozenset({"ssd"}))
    cluster.submit(1, cpus=2.0, gpus=2.0, gpu_memory=8 * GIB, labels=frozenset({"a100"}))
    cluster.pass_time(59.9)
    assert cluster.outcomes == []
    cluster.pass_time(0.2)
    assert (cluster.outcome.cause, cluster.outcome.final) == (Cause.ERROR, True)
    assert cluster.outcome.message == (
        "no worker can hold it: it needs 2 cpus, 2 gpus of 8.0 GiB, label a100; the largest workers have 8 cpus, 8.0 GiB, "
        "1 gpu of up to 16.0 GiB, labels ssd; ask for less in `trial`, or start a larger worker"
    )
    assert cluster.notes == ["unplaceable"]


def test_a_worker_that_can_hold_it_comes_in_time(cluster: Any) -> None:
    cluster.join("small", 1.0)
    cluster.submit(1, cpus=4.0)
    cluster.pass_time(50.0)
    cluster.join("large", 4.0)
    assert given(cluster) == {1: ("large", ())}
    cluster.pass_time(60.0)
    assert cluster.outcomes == []


def test_without_any_worker_a_task_waits_for_ever_and_that_is_noted_less_and_less_often(cluster: Any) -> None:
    cluster.submit(1, gpus=3.0)
    cluster.pass_time(1000.0)
    notes = cluster.all(m.Note)
    assert [note.kind for note in notes] == ["stalled"] * 5
    assert notes[0].text == "1 task waits, and there has been no worker for 30 s; start one with `morphml worker`"
    assert [note.text.partition("for ")[2].partition(" s")[0] for note in notes] == ["30", "90", "210", "450", "930"]
    cluster.join("w", 1.0)
    cluster.pass_time(61.0)
    assert cluster.outcome.cause is Cause.ERROR


@pytest.mark.parametrize(
    ("need", "count"),
    [
        (Resources(1.0), 8), (Resources(3.0), 2), (Resources(9.0), 0), (Resources(1.0, 5 * GIB), 3), (Resources(1.0, gpus=0.5), 4),
        (Resources(1.0, gpus=1.0), 2), (Resources(1.0, gpus=2.0), 1), (Resources(0.1, gpus=0.1, gpu_memory=8 * GIB), 4),
        (Resources(1.0, labels=frozenset({"x"})), 0),
    ],
)  # fmt: skip
def test_slots_count_what_the_workers_can_hold(make: Callable[..., Any], need: Resources, count: int) -> None:
    cluster = make(Rules(prefetch=0))
    cluster.join("w", 8.0, memory=16 * GIB, gpus=GPUS)
    assert needs.count(m.Capacity(8.0, 16 * GIB, GPUS), need) == count
    assert cluster.machine.slots(need) == max(1, count)
    cluster.join("v", 8.0, memory=16 * GIB, gpus=GPUS)
    assert cluster.machine.slots(need) == max(1, 2 * count)
    cluster.disconnect("v")
    assert cluster.machine.slots(need) == max(1, count)
