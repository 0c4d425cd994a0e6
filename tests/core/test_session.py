"""Opening experiments: from files, mappings and objects; and what is said when they do not fit."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from morphml_core.config import from_mapping, resolve
from morphml_core.errors import ConfigurationError, MorphMLError, StorageError
from morphml_core.problem import Task
from morphml_core.session import check, open_experiment, search
from morphml_core.space.language import chain, choice, op, space

EVALUATOR = """
import time


def evaluate(candidate):
    time.sleep({seconds})
    return {{"score": candidate.values["a"] * 2.0}}


def broken(candidate):
    raise RuntimeError("always")
"""


@pytest.fixture
def configuration(tmp_path):
    (tmp_path / "evaluator.py").write_text(EVALUATOR.format(seconds=0))
    return {
        "experiment": "small",
        "seed": 3,
        "objectives": ["score"],
        "space": {"name": "parameters", "decisions": {"a": {"integer": [1, 40]}, "b": {"choice": ["x", "y"]}}},
        "evaluator": {"name": "function", "function": f"{tmp_path}/evaluator.py:evaluate"},
        "storage": f"sqlite:///{tmp_path}/small.db",
        "output": str(tmp_path / "results"),
        "hooks": [],
        "stop": {"trials": 12},
    }


def test_a_configuration_is_searched_and_read_again(configuration):
    with open_experiment(configuration) as experiment:
        assert experiment.run() == "12 trials are done"
        summary = experiment.summary()
    assert summary["status"] == "ended"
    assert summary["trials"] == {"finished": 12, "failed": 0, "stopped": 0, "running": 0, "pending": 0, "duplicates": 0}
    assert summary["best"]["metrics"]["score"] == 2.0 * summary["best"]["genotype"]["a"]
    assert summary["front"] == [summary["best"]]
    with open_experiment(configuration, read_only=True) as again:
        assert again.summary() == summary
        assert [trial.number for trial in again.trials()] == list(range(12))


def test_more_trials_continue_the_same_search(configuration):
    with open_experiment(configuration) as experiment:
        experiment.run()
        before = experiment.trials()
    with open_experiment(configuration, ["stop.trials=15"]) as experiment:
        experiment.run()
        after = experiment.trials()
    assert after[:12] == before
    assert len(after) == 15


def test_a_changed_configuration_is_refused_in_words(configuration):
    with open_experiment(configuration) as experiment:
        experiment.run()
    with pytest.raises(ConfigurationError) as caught:
        open_experiment(configuration, ["seed=4"])
    assert str(caught.value) == (
        "experiment 'small' was started with another configuration: 'seed' was 3 and is now 4; "
        "put it back to go on, or give the experiment a new name"
    )


def test_reading_an_experiment_that_has_not_started(configuration):
    with pytest.raises(StorageError) as caught:
        open_experiment(configuration, read_only=True)
    assert str(caught.value) == (
        "experiment 'small' has not started: its storage has no record of it; start it with `morphml run`"
    )


def test_an_evaluator_without_networks_has_nothing_to_export(configuration, tmp_path):
    with open_experiment(configuration) as experiment:
        experiment.run()
        with pytest.raises(MorphMLError) as caught:
            experiment.export("best", tmp_path / "export")
    assert str(caught.value) == (
        "there is no network to export: the evaluator 'function' trains none; use one that does, such as train"
    )


def test_failed_trials_are_retried(configuration, tmp_path):
    configuration["evaluator"]["function"] = f"{tmp_path}/evaluator.py:broken"
    with open_experiment(configuration) as experiment:
        experiment.run()
        assert experiment.best() is None
        assert experiment.retry([3, 5]) == [3, 5]
        assert experiment.summary()["trials"]["pending"] == 2
        assert experiment.run() == "12 trials are done"
        assert experiment.summary()["trials"]["failed"] == 12


def test_search_takes_functions_and_objects():
    network = space(chain(op("conv", channels=choice(4, 8)), op("relu"), op("conv", channels=choice(4, 8, 16))))

    def channels(candidate):
        return sum(node.param("channels", 0) for node in candidate.graph.nodes)

    found = search(network, channels, stop=6, seed=1)
    assert found.best().metrics == {"value": 24.0}
    assert found.summary()["trials"]["finished"] == 6


def test_an_impossible_space_is_refused_before_the_search(configuration, tmp_path):
    configuration["objectives"] = ["accuracy"]
    configuration["space"] = {"name": "chain", "layers": [{"max_pool": {"kernel": 31, "stride": {"choice": [16, 32]}}}, {"max_pool": {"kernel": 3}}, {"attention": {"heads": {"choice": [5, 7]}}}]}  # fmt: skip
    configuration["evaluator"] = {"name": "train", "dataset": "digits"}
    with pytest.raises(ConfigurationError) as caught:
        check(resolve(from_mapping(configuration)))
    assert "space 'chain': no network of it can be built; 50 were drawn at random, the last one: node" in str(
        caught.value
    )


def test_a_workload_is_rebuilt_from_its_specification(configuration):
    with open_experiment(configuration) as experiment:
        experiment.run()
        trial = experiment.trials()[0]
        work = experiment.workload
    assert work.specification is not None
    again = pickle.loads(pickle.dumps(work))
    assert again.specification == work.specification
    assert again.space is not work.space
    run = again.run(Task(0, trial.genotype, seed=1))
    with pytest.raises(StopIteration) as ended:
        next(run)
    assert ended.value.value.metrics == dict(trial.metrics)


def test_two_runs_of_one_experiment_one_works_the_other_says_who(configuration, tmp_path):
    (tmp_path / "evaluator.py").write_text(EVALUATOR.format(seconds=0.2))
    import yaml

    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(configuration | {"stop": {"trials": 1000}}))
    command = [str(Path(sys.executable).with_name("morphml")), "run", str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(lambda: (tmp_path / "small.db").exists() and _held(path))
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == 2
        assert f"experiment 'small' is held by process {first.pid} on host " in second.stderr
        assert "; wait for it, or stop it" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    assert first.returncode == 130
    with open_experiment(path, read_only=True) as experiment:
        assert experiment.summary()["status"] == "interrupted"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_request_to_end_is_a_clean_stop(configuration, tmp_path, number, code, executor):
    (tmp_path / "evaluator.py").write_text(EVALUATOR.format(seconds=0.2))
    import yaml

    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(configuration | {"stop": {"trials": 1000}, "executor": executor}))
    command = [str(Path(sys.executable).with_name("morphml")), "run", str(path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for(lambda: (tmp_path / "small.db").exists() and _held(path))
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code
    assert f"Interrupted; nothing is lost. `morphml run {path}` goes on." in said
    with open_experiment(path, read_only=True) as experiment:
        assert experiment.summary()["status"] == "interrupted"


def _held(path: Path) -> bool:
    try:
        with open_experiment(path, read_only=True) as experiment:
            return experiment.state.holder is not None and experiment.state.holder.pid != os.getpid()
    except StorageError:
        return False


def _wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_the_distributions_in_use_are_recorded(configuration):
    from importlib.metadata import version

    with open_experiment({**configuration, "optimizer": "regularized_evolution"}) as experiment:
        experiment.run()
        assert experiment.state.started.versions == {
            name: version(name) for name in ("morphml-core", "morphml-optimizers")
        }
