"""A cluster in simulated time: what each fault does, and that none of them loses or doubles a result."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphml_core.errors import MorphMLError
from morphml_core.problem import Cause, Outcome, Resources
from morphml_distributed.dispatch.messages import Capacity, Gpu
from morphml_distributed.simulation.cluster import Machines
from morphml_distributed.simulation.faults import KINDS, Fault, Faults, Strike


def finished(found):
    return all(outcome.metrics is not None for _, outcome in found.values())


def test_workers_share_the_tasks(make_cluster, run, tasks):
    cluster = make_cluster(workers=2, seconds=20.0)
    found = run(cluster, *tasks(4))
    assert finished(found)
    assert sorted(round(moment) for moment, _ in found.values()) == [20, 20, 40, 40]
    assert cluster.utilization == pytest.approx(1.0, abs=0.01)
    assert cluster.summary()["evaluations"] == 4
    assert cluster.summary()["notes"]["finished"] == 4
    assert {outcome.worker for _, outcome in found.values()} == {"worker-1", "worker-2"}


def test_reports_come_in_order_and_in_time(make_cluster, run, tasks):
    cluster = make_cluster(workers=2, steps=4)
    run(cluster, *tasks(3))
    for number in range(3):
        assert [report.step for report in cluster.reports if report.number == number] == [1, 2, 3, 4]


def test_a_quick_machine_takes_less_time(make_cluster, run, tasks):
    machines = [Machines("slow", 1, Capacity(1.0, 2**33)), Machines("quick", 1, Capacity(1.0, 2**33), speed=5.0)]
    found = run(make_cluster(machines=machines), *tasks(6))
    took = {outcome.worker: outcome.duration for _, outcome in found.values()}
    assert took == {"slow-1": pytest.approx(10.0), "quick-1": pytest.approx(2.0)}
    assert sum(outcome.worker == "quick-1" for _, outcome in found.values()) >= 4


def test_tasks_run_side_by_side_as_their_needs_allow(make_cluster, run, tasks):
    machines = [Machines("box", 1, Capacity(4.0, 8 * 2**30, (Gpu("0", 2**34), Gpu("1", 2**34))))]
    found = run(make_cluster(machines=machines), *tasks(4, resources=Resources(cpus=1, gpus=1)))
    assert sorted(round(moment) for moment, _ in found.values()) == [10, 10, 20, 20]
    found = run(make_cluster(machines=machines), *tasks(4, resources=Resources(cpus=2, gpus=0.5)))
    assert sorted(round(moment) for moment, _ in found.values()) == [10, 10, 20, 20]
    found = run(make_cluster(machines=machines), *tasks(4, resources=Resources(cpus=1, memory=2**31)))
    assert sorted(round(moment) for moment, _ in found.values()) == [10, 10, 10, 10]


def test_a_task_that_no_machine_can_run_fails(make_cluster, run, tasks):
    cluster = make_cluster()
    [(moment, outcome)] = run(cluster, *tasks(1, resources=Resources(gpus=1))).values()
    assert outcome.cause is not None
    assert outcome.final
    assert 59 < moment < 63


@pytest.mark.parametrize("kind", ["deaths", "kills"])
def test_what_a_dead_machine_had_runs_again(make_cluster, run, tasks, kind):
    cluster = make_cluster(workers=2, strikes=[Strike(5.0, kind, 0, 60.0)])
    found = run(cluster, *tasks(2))
    assert finished(found)
    assert cluster.summary()["evaluations"] == 3
    again = max(moment for moment, _ in found.values())
    assert again == pytest.approx(20.0, abs=4.0)


def test_a_machine_that_comes_back_works_again(make_cluster, run, tasks):
    cluster = make_cluster(workers=1, strikes=[Strike(5.0, "kills", 0, 30.0)])
    [(moment, outcome)] = run(cluster, *tasks(1)).values()
    assert outcome.metrics
    assert moment == pytest.approx(45.0, abs=3.0)
    assert cluster.summary()["notes"]["lost"] >= 1


def test_a_machine_that_stalls_keeps_what_it_had(make_cluster, run, tasks):
    cluster = make_cluster(workers=1, strikes=[Strike(5.0, "stalls", 0, 20.0)])
    [(moment, outcome)] = run(cluster, *tasks(1)).values()
    assert outcome.metrics
    assert moment == pytest.approx(30.0, abs=1.0)
    assert cluster.summary()["evaluations"] == 1


def test_a_late_result_is_used_when_the_trial_is_still_open(make_cluster, run, tasks):
    # The other worker is busy until long after the cut has healed.
    cluster = make_cluster(workers=1, seconds=10.0, strikes=[Strike(5.0, "partitions", 0, 40.0)])
    [(moment, outcome)] = run(cluster, *tasks(1)).values()
    assert outcome.metrics
    assert moment == pytest.approx(45.0, abs=4.0)
    assert cluster.summary()["evaluations"] == 1


def test_a_result_that_comes_too_late_does_not_count_twice(make_cluster, run, tasks):
    cluster = make_cluster(workers=2, strikes=[Strike(5.0, "partitions", 0, 25.0)])
    found = run(cluster, *tasks(2))
    assert finished(found)
    settled(cluster)


def test_what_is_only_late_is_not_run_twice(make_cluster, run, tasks):
    cluster = make_cluster(workers=1, strikes=[Strike(9.5, "delays", 0, 1.0)])
    [(moment, outcome)] = run(cluster, *tasks(1)).values()
    assert outcome.metrics
    assert moment == pytest.approx(11.0, abs=0.2)
    assert cluster.summary()["evaluations"] == 1


def test_an_evaluation_whose_process_dies_runs_again(make_cluster, run, tasks):
    cluster = make_cluster(workers=1, strikes=[Strike(5.0, "crashes", 0)])
    [(moment, outcome)] = run(cluster, *tasks(1)).values()
    assert outcome.metrics
    assert 15.0 <= moment < 30.0
    assert cluster.summary()["evaluations"] == 2


def test_a_restarted_master_takes_over_what_runs(make_cluster, run, tasks):
    cluster = make_cluster(workers=3, strikes=[Strike(5.0, "restarts", length=2.0)])
    found = run(cluster, *tasks(3))
    assert finished(found)
    assert [round(moment) for moment, _ in found.values()] == [10, 10, 10]
    assert {outcome.attempt for _, outcome in found.values()} == {1}
    assert cluster.summary()["evaluations"] == 3
    assert cluster.summary()["notes"]["adopted"] == 3


def test_results_that_came_while_the_master_was_down_are_kept(make_cluster, run, tasks):
    cluster = make_cluster(workers=3, strikes=[Strike(5.0, "restarts", length=20.0)])
    found = run(cluster, *tasks(3))
    assert finished(found)
    assert all(25.0 < moment < 29.0 for moment, _ in found.values())
    assert {outcome.duration for _, outcome in found.values()} == {10.0}


def test_a_kept_result_that_nobody_wants_after_a_restart_is_forgotten(make_cluster, run, tasks):
    cluster = make_cluster(workers=1, strikes=[Strike(5.0, "restarts", length=20.0)])
    cluster.timeline.at(8.0, lambda: cluster.cancel(0))
    [(moment, outcome)] = run(cluster, *tasks(1)).values()
    assert (round(moment), outcome.metrics, outcome.cause) == (8, None, None)
    settled(cluster)


def test_a_poisonous_trial_is_put_aside_and_the_others_finish(make_cluster, run, tasks):
    cluster = make_cluster(workers=4, faults=Faults(poison=0.2), rules={}, seed=3)
    found = run(cluster, *tasks(20))
    poisoned = {number for number, (_, outcome) in found.items() if outcome.metrics is None}
    assert 0 < len(poisoned) < 12
    assert all(found[number][1].cause is Cause.LOST and found[number][1].final for number in poisoned)
    assert cluster.summary()["notes"]["quarantined"] == len(poisoned)


def test_a_task_is_cancelled_wherever_it_is(make_cluster, tasks):
    cluster = make_cluster(workers=1, steps=5)
    for each in tasks(3):
        cluster.submit(each)
    cluster.take()
    for number in (0, 2):
        cluster.cancel(number)
    outcomes = {}
    while messages := cluster.take():
        outcomes.update({message.number: message for message in messages if isinstance(message, Outcome)})
    assert [(outcomes[number].metrics, outcomes[number].cause) for number in range(3)] == [
        (None, None), ({"value": 1.0}, None), (None, None),
    ]  # fmt: skip


def test_a_cluster_in_which_nothing_will_happen_says_so(make_cluster, run, tasks):
    cluster = make_cluster(workers=1, strikes=[Strike(1.0, "kills", 0, 1e9)])
    with pytest.raises(
        MorphMLError, match="the simulated cluster does nothing any more, although 1 tasks are open; trial 0: "
    ):
        run(cluster, *tasks(1))


def test_the_same_seed_gives_the_same_faults(make_cluster, run, tasks):
    def simulated(seed):
        faults = Faults(
            deaths=Fault(20, 30), kills=Fault(20, 5), crashes=Fault(40), stalls=Fault(20, 10), partitions=Fault(20, 40),
            delays=Fault(20, 5), restarts=Fault(20, 3),
        )  # fmt: skip
        cluster = make_cluster(workers=5, faults=faults, seed=seed)
        return run(cluster, *tasks(40)), cluster.summary()

    first = simulated(1)
    assert finished(first[0])
    assert first == simulated(1)
    assert first[1]["seconds"] != simulated(2)[1]["seconds"]
    assert first[1]["notes"]["lost"] > 0


def settled(cluster):
    """Let a while go by in which nothing goes wrong; then nobody may have anything left, and nothing more may come."""
    end = max(cluster.timeline.now, 130.0) + 70.0
    while cluster.timeline.now < end:
        cluster.step()
    assert cluster.take() == []
    assert [worker.name for worker in cluster.workers if not (worker.alive and worker.idle)] == []
    shown = cluster.master.machine.snapshot(end)
    assert [(each["running"], each["prefetched"]) for each in shown["workers"]] == [([], [])] * len(cluster.workers)


STRIKES = st.builds(
    Strike,
    st.floats(0.1, 60.0),
    st.sampled_from(KINDS),
    st.integers(0, 3),
    st.sampled_from([0.3, 2.0, 6.0, 25.0, 70.0]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(STRIKES, max_size=12),
    count=st.integers(1, 14),
    seconds=st.sampled_from([0.1, 2.0, 9.0, 40.0]),
    steps=st.sampled_from([0, 3]),
    seed=st.integers(0, 5),
)
def test_whatever_happens_each_task_has_its_one_result(make_cluster, run, tasks, faults, count, seconds, steps, seed):
    cluster = make_cluster(workers=4, seconds=seconds, steps=steps, strikes=faults, seed=seed)
    found = run(cluster, *tasks(count))
    assert finished(found)
    assert 0.0 < cluster.utilization <= 1.0
    settled(cluster)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(STRIKES, max_size=8), cancels=st.dictionaries(st.integers(0, 9), st.floats(0.0, 40.0), max_size=6)
)
def test_cancelled_tasks_too_have_one_outcome(make_cluster, run, tasks, faults, cancels):
    cluster = make_cluster(workers=3, seconds=6.0, steps=2, strikes=faults)
    for number, moment in cancels.items():
        cluster.timeline.at(moment, lambda number=number: cluster.cancel(number))
    found = run(cluster, *tasks(10))
    assert all(outcome.cause is None for _, outcome in found.values())
    assert all(outcome.metrics or number in cancels for number, (_, outcome) in found.items())
    settled(cluster)
