"""What this machine has, by itself and by its control group."""

import os

import psutil
import pytest

from morphml_core.errors import MorphMLError
from morphml_distributed import resources
from morphml_distributed.dispatch.messages import Gpu


def files(root, **contents):
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_this_machine():
    assert 0 < resources.cpu_count() <= len(os.sched_getaffinity(0))
    assert 2**20 < resources.memory_size() <= psutil.virtual_memory().total
    assert 0.0 < resources.memory_share() <= 1.0


def test_limits_of_a_control_group(tmp_path):
    files(tmp_path, **{
        "proc/self/cgroup": "0::/pod/box\n",
        "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
        "sys/fs/cgroup/pod/cpu.max": "50000 100000",
        "sys/fs/cgroup/pod/box/memory.max": "max",
        "sys/fs/cgroup/pod/memory.max": "1048576",
        "sys/fs/cgroup/pod/memory.current": "1048000",
    })  # fmt: skip
    assert resources.cpu_count(tmp_path) == 0.5
    assert resources.memory_size(tmp_path) == 2**20
    assert resources.memory_share(tmp_path) == 1048000 / 2**20


def test_limits_of_the_older_control_groups(tmp_path):
    files(tmp_path, **{
        "proc/self/cgroup": "5:memory:/box\n4:cpu,cpuacct:/box\n1:name=systemd:/x\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "25000",
        "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "2097152",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
        "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "1",
    })  # fmt: skip
    assert resources.cpu_count(tmp_path) == 0.25
    assert resources.memory_size(tmp_path) == 2**21


def test_no_control_group(tmp_path):
    assert resources.cpu_count(tmp_path) == len(os.sched_getaffinity(0))
    assert resources.memory_size(tmp_path) == psutil.virtual_memory().total


def test_gpus_that_are_asked_for_where_none_can_be_looked_at(monkeypatch):
    monkeypatch.setattr(resources, "_nvml", lambda: None)
    assert resources.gpus(None) == resources.gpus(0) == ()
    assert resources.gpus(2) == (Gpu("0", 0), Gpu("1", 0))
    assert resources.gpus(["3", "GPU-x"]) == (Gpu("3", 0), Gpu("GPU-x", 0))
    assert resources.gpus(1, "5,6") == (Gpu("5", 0),)
    with pytest.raises(MorphMLError) as caught:
        resources.gpus(2, "5")
    assert (
        str(caught.value)
        == "2 GPUs are asked for, but 1 can be seen here; lower --gpus, or look at CUDA_VISIBLE_DEVICES"
    )


def test_the_driver_of_this_machine():
    found = resources.gpus(None)
    assert len({gpu.id for gpu in found}) == len(found)
    assert all(gpu.memory > 0 for gpu in found)
    health = resources.Examiner(os.getcwd(), found).health()
    assert (health.gpu is None) == (not found)


def test_health(tmp_path):
    examiner = resources.Examiner(tmp_path)
    sum(range(10**6))
    health = examiner.health()
    assert 0.0 <= health.cpu <= 1.0
    assert 0.0 < health.memory <= 1.0
    assert health.disk_free is not None
    assert abs(health.disk_free - psutil.disk_usage(str(tmp_path)).free) < 2**32
    assert (health.gpu, health.gpu_memory) == (None, None)
    assert resources.Examiner(tmp_path / "nowhere").health().disk_free is None
