"""The executor `simulated_cluster`: what every executor promises, whole searches under faults, and its configuration."""

import json

import pytest
from click.testing import CliRunner

from morphml_core.cli import main
from morphml_core.errors import ConfigurationError
from morphml_core.session import open_experiment, search
from morphml_core.testing.executor import ExecutorSuite, behaviours, collect, outcomes, task
from morphml_distributed.executor.simulated_cluster import Config, Group, SimulatedClusterExecutor

SPACE = {"name": "parameters", "decisions": {"a": {"integer": [1, 40]}, "b": {"integer": [1, 40]}}}
RULES = {"poison": 1000}
FAULTS = {
    "deaths": {"rate": 6, "length": 120}, "kills": {"rate": 6, "length": 20}, "crashes": {"rate": 10},
    "stalls": {"rate": 6, "length": 40}, "partitions": {"rate": 6, "length": 40}, "delays": {"rate": 6, "length": 10},
    "restarts": {"rate": 6, "length": 5},
}  # fmt: skip


class TestSimulatedCluster(ExecutorSuite):
    @pytest.fixture
    def make(self):
        return lambda workload: SimulatedClusterExecutor(Config(workers=2, duration=10.0), workload)


class TestSimulatedClusterByMeasuredTime(ExecutorSuite):
    @pytest.fixture
    def make(self):
        return lambda workload: SimulatedClusterExecutor(Config(workers=(Group(1, cpus=2.0), Group(1))), workload)


def value(candidate):
    return float(candidate.values["a"] * 50 - candidate.values["b"] ** 2)


def searched(optimizer, seed, executor, trials=60):
    experiment = search(
        SPACE, value, stop=trials, seed=seed, optimizer=optimizer, executor=executor, reproducible={"window": 8},
        trial={"retries": 1000},
    )  # fmt: skip
    assert experiment.summary()["trials"]["finished"] == trials
    return [(trial.number, trial.genotype, trial.metrics) for trial in experiment.trials()]


@pytest.mark.parametrize("optimizer", ["random", "regularized_evolution"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_reproducible_search_under_faults_equals_an_undisturbed_one(optimizer, seed):
    calm = searched(optimizer, seed, "inline")
    for workers in (3, 8):
        executor = {
            "name": "simulated_cluster", "workers": workers, "duration": 60.0, "faults": FAULTS, "seed": seed, "rules": RULES,
        }  # fmt: skip
        assert searched(optimizer, seed, executor) == calm


def test_the_search_goes_by_the_virtual_clock():
    experiment = search(
        SPACE,
        value,
        stop=64,
        executor={"name": "simulated_cluster", "workers": 16, "duration": 3600.0, "rules": {"heartbeat": 60}},
    )
    assert experiment.state.elapsed() == pytest.approx(4 * 3600.0, rel=0.01)
    assert {round(trial.duration) for trial in experiment.trials()} == {3600}


def test_more_workers_take_less_time_and_a_quick_one_counts_for_two():
    def seconds(workers):
        experiment = search(
            SPACE, value, stop=60, executor={"name": "simulated_cluster", "workers": workers, "duration": 30.0}
        )
        return experiment.state.elapsed()

    assert seconds(1) == pytest.approx(1800.0, rel=0.01)
    assert seconds([{"count": 2, "speed": 2.0}, {"count": 2}]) == pytest.approx(300.0, rel=0.11)


def test_summary_and_utilization():
    executor = SimulatedClusterExecutor(Config(workers=2, duration=10.0), behaviours())
    for number in range(6):
        executor.submit(task(number))
    assert len(outcomes(collect(executor, 6))) == 6
    assert executor.utilization == pytest.approx(1.0, abs=0.01)
    assert executor.summary["workers"] == 2
    assert executor.summary["evaluations"] == 6
    assert executor.clock() == pytest.approx(30.0, abs=0.1)


def test_run_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text("def value(candidate):\n    return float(candidate.values['a'])\n")
    (tmp_path / "search.yaml").write_text(
        json.dumps(
            {
                "experiment": "cluster", "objectives": ["value"], "space": SPACE, "optimizer": "random",
                "evaluator": {"name": "function", "function": "space.py:value"}, "storage": "memory", "hooks": [],
                "executor": {
                    "name": "simulated_cluster", "scheduler": "round_robin", "duration": 30,
                    "workers": [{"count": 2, "cpus": 2, "memory": "4GiB", "labels": ["big"]}, {"count": 4}],
                    "faults": {"kills": {"rate": 2, "length": "1m"}, "poison": 0.01},
                },
                "stop": {"trials": 40},
            }
        )
    )  # fmt: skip
    done = CliRunner().invoke(main, ["run", "search.yaml", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["trials"]["finished"] >= 36


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "'workers' must be a number of machines, at least 1, or a list of groups"),
        ({"workers": []}, "'workers' must be a number of machines, at least 1, or a list of groups"),
        ({"workers": [{"count": 0}]}, "'workers' must be a whole number or a list of mappings"),
        ({"faults": {"stalls": {"rate": -1}}}, "'faults.stalls.rate' must be >= 0: -1.0"),
        ({"faults": {"fires": {"rate": 1}}}, "'faults' has no option 'fires'"),
        ({"scheduler": "fastest"}, "there is no scheduler 'fastest'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigurationError) as caught:
        open_experiment(
            {
                "experiment": "x", "objectives": ["value"], "space": SPACE, "evaluator": {"name": "function", "function": value},
                "executor": {"name": "simulated_cluster", **options}, "storage": "memory",
            }
        )  # fmt: skip
    assert message in str(caught.value)
