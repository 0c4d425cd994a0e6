import pytest

ray = pytest.importorskip("ray")

from morphml_core.testing.executor import ExecutorSuite
from morphml_distributed.executor.ray import Config, RayExecutor


@pytest.fixture(scope="module", autouse=True)
def cluster():
    first = RayExecutor(Config("local", cpus=2), behaviours())
    yield first
    first.close()
    assert not ray.is_initialized()


from morphml_core.testing.executor import behaviours


class TestRay(ExecutorSuite):
    isolates = True

    @pytest.fixture
    def make(self):
        return lambda workload: RayExecutor(Config(), workload)
