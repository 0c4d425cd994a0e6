import pytest

from morphml_core.executor.processes import Config, ProcessesExecutor
from morphml_core.testing.executor import ExecutorSuite


class TestProcesses(ExecutorSuite):
    isolates = True

    @pytest.fixture
    def make(self):
        return lambda workload: ProcessesExecutor(Config(workers=2), workload)
