import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from morphml_core.artifacts.local import Config as Folder
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.errors import EvaluationError
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Task, Trial, TrialState
from morphml_core.protocols import Workbench
from morphml_core.space.language import branch, chain, op, residual, space

IMAGES = space(
    chain(
        op("conv", channels=4),
        "batch_norm",
        "relu",
        residual([op("depthwise_conv"), "batch_norm"]),
        branch([op("conv", channels=4), "squeeze_excite"], ["max_pool", "hardswish"]),
        op("attention", heads=2),
    )
)
ROWS = space(chain(op("dense", units=8), "layer_norm", "tanh"))


def trained(found, options, folder):
    """An evaluator, its only trial and the workbench."""
    part = Loader().load(ComponentRef("evaluator", "train", {"epochs": 2, "device": "cpu", **options}))
    evaluator, bench = part.create(found), Workbench(LocalArtifacts(Folder(str(folder)), "test"))
    genotype = found.decisions.sample(np.random.default_rng(0))
    evaluation = evaluator.evaluate(Task(4, genotype, 7), found.express(genotype), bench)
    while True:
        try:
            next(evaluation)
        except StopIteration as end:
            metrics = end.value
            break
    return evaluator, Trial(4, genotype, TrialState.FINISHED, metrics=metrics), found.express(genotype), bench


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return trained(IMAGES, {"dataset": "digits"}, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def exported(digits, tmp_path_factory):
    evaluator, trial, candidate, bench = digits
    folder = tmp_path_factory.mktemp("export")
    return folder, evaluator.export(trial, candidate, bench, folder)


def test_every_file_is_there_and_has_the_recorded_metrics(digits, exported):
    _, trial, _, _ = digits
    folder, result = exported
    assert result["files"] == ["weights.pt", "model.py", "model.pt2", "model.onnx", "architecture.json", "README.md"]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(result["files"])
    assert result["metrics"]["accuracy"] == trial.metrics["accuracy"]
    assert result["metrics"]["test_accuracy"] == trial.metrics["test_accuracy"]
    assert result["metrics"]["loss"] == pytest.approx(trial.metrics["loss"], rel=1e-5)
    assert result["notes"] == ["loaded again from model.py, it has the recorded accuracy, loss, test_accuracy"]


def test_the_source_needs_torch_alone_and_gives_the_recorded_test_accuracy(digits, exported, tmp_path):
    evaluator, trial, _, _ = digits
    test = evaluator.data.test
    np.savez(tmp_path / "test.npz", x=test.inputs, y=test.targets)
    program = """
import sys
import numpy as np
import torch
sys.path.insert(0, sys.argv[1])
from model import load
data = np.load(sys.argv[2])
with torch.inference_mode():
    found = load()(torch.tensor(data["x"])).argmax(1).numpy()
assert not [name for name in sys.modules if name.startswith("morphml")]
print((found == data["y"]).mean())
"""
    arguments = [sys.executable, "-c", program, str(exported[0]), str(tmp_path / "test.npz")]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert float(output) == pytest.approx(trial.metrics["test_accuracy"], abs=1e-12)


def outputs(folder, samples):
    spec = importlib.util.spec_from_file_location("one_exported_model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.inference_mode():
        return module.load()(samples).numpy()


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")  # torch 2.11 reads weights so
def test_the_torch_export_file_computes_the_same_on_any_batch(digits, exported):
    folder, _ = exported
    program = torch.export.load(folder / "model.pt2").module()
    for count in (1, 7):
        samples = torch.tensor(digits[0].data.test.inputs[:count])
        np.testing.assert_allclose(program(samples).detach().numpy(), outputs(folder, samples), atol=1e-5)


def test_the_onnx_file_computes_the_same(digits, exported):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    folder, _ = exported
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model)
    samples = digits[0].data.test.inputs[:3]
    found = ReferenceEvaluator(model).run(None, {"input": samples})[0]
    np.testing.assert_allclose(found, outputs(folder, torch.tensor(samples)), atol=1e-4)


def test_the_architecture_is_data(digits, exported):
    _, trial, candidate, _ = digits
    found = json.loads((exported[0] / "architecture.json").read_text())
    assert found["trial"] == 4
    assert found["fingerprint"] == candidate.fingerprint
    assert found["graph"] == candidate.graph.to_json()
    assert found["genotype"] == candidate.values
    assert found["metrics"] == trial.metrics
    assert (found["input_shape"], found["outputs"]) == ([1, 8, 8], 10)


def test_the_card_says_what_it_is_and_its_example_runs(exported, tmp_path):
    folder, _ = exported
    text = (folder / "README.md").read_text()
    assert "classifies samples of shape (1, 8, 8)" in text
    assert "| test_accuracy |" in text
    code = text.split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_a_duplicate_exports_the_network_whose_result_it_reused(digits, tmp_path):
    evaluator, trial, candidate, bench = digits
    twin = Trial(9, trial.genotype, TrialState.FINISHED, metrics=trial.metrics, duplicate_of=4)
    assert evaluator.export(twin, candidate, bench, tmp_path)["metrics"]["accuracy"] == trial.metrics["accuracy"]


def refusal(digits, folder, trial):
    evaluator, _, candidate, bench = digits
    with pytest.raises(EvaluationError) as caught:
        evaluator.export(trial, candidate, bench, folder)
    return str(caught.value)


def test_a_trial_without_a_network_is_said(digits, tmp_path):
    genotype = digits[1].genotype
    assert refusal(digits, tmp_path, Trial(5, genotype)) == (
        "there is no trained network for trial 5; export a trial that was trained in this experiment, and keep its artifacts"
    )
    assert refusal(digits, tmp_path, Trial(5, genotype, duplicate_of=6)) == (
        "there is no trained network for trial 5 nor for trial 6, whose result it reused; export a trial that was trained in "
        "this experiment, and keep its artifacts"
    )


def test_metrics_that_are_not_those_recorded_are_an_error(digits, tmp_path):
    trial = digits[1]
    other = Trial(4, trial.genotype, TrialState.FINISHED, metrics={"accuracy": 2.0})
    assert refusal(digits, tmp_path, other) == (
        "the exported network does not have the recorded metrics of trial 4: accuracy "
        f"{trial.metrics['accuracy']:.6g} instead of 2; was the dataset or one of its options changed since?"
    )


def test_a_stopped_trial_exports_its_last_checkpoint(tmp_path):
    evaluator, trial, candidate, bench = trained(ROWS, digits_as_rows(tmp_path), tmp_path / "artifacts")
    bench.artifacts.delete("4/model.pt")
    stopped = Trial(4, trial.genotype, TrialState.STOPPED, metrics={"accuracy": 2.0})
    result = evaluator.export(stopped, candidate, bench, tmp_path / "out")
    assert result["notes"][0].endswith("; the trial was stopped, and this is its last checkpoint")


def digits_as_rows(folder):
    from sklearn.datasets import load_digits

    inputs, targets = load_digits(return_X_y=True)
    np.savez(folder / "rows.npz", x=inputs.astype(np.float32), y=targets)
    return {"dataset": {"name": "npz", "path": str(folder / "rows.npz")}}


def test_a_regression_exports_values_in_the_unit_of_the_targets(tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 3))
    np.savez(tmp_path / "line.npz", x=inputs, y=500 + 40 * inputs[:, 0])
    options = {"dataset": {"name": "npz", "path": str(tmp_path / "line.npz")}, "epochs": 30, "learning_rate": 0.05}
    evaluator, trial, candidate, bench = trained(ROWS, {**options, "batch_size": 16}, tmp_path / "artifacts")
    result = evaluator.export(trial, candidate, bench, tmp_path / "out")
    assert result["metrics"].keys() == {"rmse", "r2", "loss", "test_rmse", "test_r2"}
    assert result["metrics"]["rmse"] == pytest.approx(trial.metrics["rmse"], rel=1e-4)
    test = evaluator.prepared().data.test
    found = outputs(tmp_path / "out", torch.tensor(test.inputs))
    assert np.sqrt(((found - test.targets) ** 2).mean()) == pytest.approx(trial.metrics["test_rmse"], rel=1e-4)
    assert trial.metrics["test_rmse"] < 20


def test_without_onnx_a_note_says_how_to_get_it(tmp_path, monkeypatch, digits):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "onnx" else find(name, *more))
    evaluator, trial, candidate, bench = digits
    result = evaluator.export(trial, candidate, bench, tmp_path)
    assert "model.onnx" not in result["files"]
    assert result["notes"][-1] == (
        "model.onnx was not written: onnx and onnxscript are not installed; pip install 'morphml-core[onnx]'"
    )
    assert "model.onnx" not in (tmp_path / "README.md").read_text().split("## Load it")[1].split("## How")[0]
