from hypothesis import given
from hypothesis import strategies as st

from morphml_core.problem import Resources, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch.messages import Capacity, Gpu
from morphml_distributed.worker.admission import Admission, Job

GPUS = (Gpu("0", 0), Gpu("1", 0))


def job(number, devices=(), **needs):
    return Job(Task(number, Genotype(()), 0, resources=Resources(**needs)), devices)


def begun(admission):
    found = []
    while (each := admission.next()) is not None:
        found.append(each.task.number)
    return found


def test_order_and_overtaking():
    admission = Admission(Capacity(4.0, 100), 99)
    for number, cpus in enumerate([3, 4, 1, 1]):
        admission.add(job(number, cpus=float(cpus)))
    assert begun(admission) == [0, 2]
    admission.end(0)
    assert begun(admission) == [3]
    admission.end(2)
    admission.end(3)
    assert begun(admission) == [1]


def test_a_large_job_is_not_overtaken_for_ever():
    admission = Admission(Capacity(2.0, 100), 99)
    admission.add(job(0))
    assert begun(admission) == [0]
    admission.add(job(1, cpus=2.0))
    for number in range(2, 40):
        admission.add(job(number))
    for running in range(2, 10):
        assert begun(admission) == [running]
        admission.end(running)
    assert begun(admission) == []
    admission.end(0)
    assert begun(admission) == [1]


def test_memory_and_shares_of_a_gpu():
    admission = Admission(Capacity(9.0, 100, GPUS), 99)
    admission.add(job(0, ("0",), gpus=0.5, memory=60))
    admission.add(job(1, ("0",), gpus=0.5, memory=60))
    admission.add(job(2, ("0",), gpus=0.6))
    admission.add(job(3, ("0",), gpus=0.5))
    admission.add(job(4, ("1",), gpus=1.0))
    assert begun(admission) == [0, 3, 4]
    assert dict(admission.shares()) == {"0": 1.0, "1": 1.0}


def test_what_is_too_large_runs_alone():
    admission = Admission(Capacity(1.0, 10), 99)
    admission.add(job(0, cpus=5.0, memory=50))
    admission.add(job(1))
    assert begun(admission) == [0]
    admission.end(0)
    assert begun(admission) == [1]


@given(
    st.lists(st.tuples(st.floats(0.1, 3.0), st.integers(0, 60), st.sampled_from([0.0, 0.3, 1.0])), max_size=30),
    st.integers(1, 5),
)
def test_never_more_than_there_is_and_all_in_the_end(needs, slots):
    admission = Admission(Capacity(4.0, 100, GPUS), slots)
    for number, (cpus, memory, gpus) in enumerate(needs):
        devices = (str(number % 2),) if gpus else ()
        admission.add(job(number, devices, cpus=cpus, memory=memory, gpus=gpus))
    seen = []
    while admission.waiting or admission.running:
        seen += begun(admission)
        running = [each.task.resources for each in admission.running.values()]
        assert 0 < len(running) <= slots
        assert sum(each.cpus for each in running) <= 4.0 + 1e-5
        assert sum(each.memory or 0 for each in running) <= 100
        for device in "01":
            using = [each.task.resources.gpus for each in admission.running.values() if each.devices == (device,)]
            assert sum(using) <= 1.0 + 1e-5
        admission.end(next(iter(admission.running)))
    assert sorted(seen) == list(range(len(needs)))
