import pytest

distributed = pytest.importorskip("distributed")

from morphml_core.testing.executor import ExecutorSuite
from morphml_distributed.executor.dask import Config, DaskExecutor


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None, memory_limit=None
    ) as cluster:
        yield cluster


class TestDask(ExecutorSuite):
    isolates = True

    @pytest.fixture
    def make(self, cluster):
        return lambda workload: DaskExecutor(Config(cluster.scheduler_address), workload)
