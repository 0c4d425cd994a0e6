"""Hand a trained network back: weights, plain PyTorch source, torch.export and ONNX files, a description, a model card."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor, nn

from morphml_core.errors import EvaluationError
from morphml_core.graph.shapes import Lowered
from morphml_core.problem import Candidate, Trial, TrialState
from morphml_core.protocols import Artifacts, Data
from morphml_core.torch.card import card, module_source
from morphml_core.torch.checkpoint import checkpoint_name, load, model_name, write
from morphml_core.torch.data import Prepared, Samples, prepare
from morphml_core.torch.isolation import isolated
from morphml_core.torch.steps import scores

if TYPE_CHECKING:
    from morphml_core.evaluator.train import Config

_CPU = torch.device("cpu")
_NO_ONNX = "model.onnx was not written: onnx and onnxscript are not installed; pip install 'morphml-core[onnx]'"


@attrs.frozen(eq=False)
class Source:
    """What an export is made from; `dataset` is the name of the dataset component."""

    trial: Trial
    candidate: Candidate
    lowered: Lowered
    settings: Config
    data: Data
    dataset: str


def export(source: Source, artifacts: Artifacts, folder: Path) -> dict[str, Any]:
    """Write everything into `folder`, load it again from there, and compare it with the recorded metrics.

    Returns {"files", "metrics", "notes"}; the metrics are those of the files.  Raises `EvaluationError` where there is no trained
    network, or where what was written is not as good as what was recorded.
    """
    content = stored(source.trial, artifacts)
    prepared = prepare(source.data, source.settings.holdout, source.settings.standardize, _CPU)
    folder.mkdir(parents=True, exist_ok=True)
    write({name: value.contiguous() for name, value in content["model"].items()}, folder / "weights.pt")
    (folder / "model.py").write_text(module_source(source.lowered, prepared), encoding="utf-8")
    model = reload(folder)
    with isolated(0, _CPU, source.settings.threads or 1, True):
        metrics = _measured(model, prepared)
        notes = [*content["notes"], *_compared(source.trial, metrics, prepared)]
        notes += _programs(model, prepared.train.inputs[:2], folder)
    _describe(source, folder)
    text = card(source.trial, source.candidate, source.dataset, prepared, metrics, notes)
    (folder / "README.md").write_text(text, encoding="utf-8")
    names = ("weights.pt", "model.py", "model.pt2", "model.onnx", "architecture.json", "README.md")
    return {"files": [name for name in names if (folder / name).exists()], "metrics": metrics, "notes": notes}


def stored(trial: Trial, artifacts: Artifacts) -> dict[str, Any]:
    """The trained network of a trial, or of the equal one whose result it reused; of a stopped trial, its last checkpoint."""
    for number in (trial.number, trial.duplicate_of):
        if number is not None:
            found = load(artifacts, model_name(number)) or load(artifacts, checkpoint_name(number))
            if found is not None:
                return found
    reused = "" if trial.duplicate_of is None else f" nor for trial {trial.duplicate_of}, whose result it reused"
    raise EvaluationError(
        "error",
        f"there is no trained network for trial {trial.number}{reused}; export a trial that was trained in this experiment, "
        "and keep its artifacts",
    )


def reload(folder: Path) -> nn.Module:
    """The model that model.py in a folder loads, as anyone would load it."""
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: nn.Module = module.load()
    return model


def _measured(model: nn.Module, prepared: Prepared) -> dict[str, float]:
    valid, test = (_scores(model, prepared, samples) for samples in (prepared.valid, prepared.test))
    return {**valid, **{f"test_{name}": value for name, value in test.items() if name != "loss"}}


def _scores(model: nn.Module, prepared: Prepared, samples: Samples) -> dict[str, float]:
    with torch.inference_mode():
        outputs = torch.cat([model(part) for part in torch.split(samples.inputs, 256)])
    return scores(prepared.targets.apply(outputs) if prepared.regression else outputs, prepared, samples)


def _compared(trial: Trial, metrics: Mapping[str, float], prepared: Prepared) -> list[str]:
    """A sentence on how the exported model compares with what the trial recorded."""
    shared = {name: value for name, value in metrics.items() if name in trial.metrics}
    wrong = [name for name, value in shared.items() if not _close(name, value, trial.metrics[name], prepared)]
    if not wrong:
        return [f"loaded again from model.py, it has the recorded {', '.join(shared)}"] if shared else []
    found = ", ".join(f"{name} {metrics[name]:.6g} instead of {trial.metrics[name]:.6g}" for name in wrong)
    sentence = f"the exported network does not have the recorded metrics of trial {trial.number}: {found}"
    if trial.state is TrialState.STOPPED:
        return [f"{sentence}; the trial was stopped, and this is its last checkpoint"]
    raise EvaluationError("error", f"{sentence}; was the dataset or one of its options changed since?")


def _close(name: str, found: float, recorded: float, prepared: Prepared) -> bool:
    """Equal but for float noise: another device may add in another order, which can turn one tie in a thousand."""
    if name.endswith("accuracy"):
        samples = prepared.test if name.startswith("test_") else prepared.valid
        return abs(found - recorded) <= math.ceil(len(samples) / 1000) / len(samples) + 1e-9
    return math.isclose(found, recorded, rel_tol=1e-3, abs_tol=1e-4)


def _programs(model: nn.Module, example: Tensor, folder: Path) -> list[str]:
    """Write model.pt2 and model.onnx; returns notes on what could not be written."""
    for name in ("model.pt2", "model.onnx"):
        (folder / name).unlink(missing_ok=True)
    with _quiet():
        try:
            batch = torch.export.Dim("batch", min=1)
            program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
            held = io.BytesIO()  # on a full disk, torch's own writer ends the whole process
            torch.export.save(program, held)
            (folder / "model.pt2").write_bytes(held.getbuffer())
        except OSError:
            raise
        except Exception as error:  # whatever torch.export does not support
            return [f"model.pt2 and model.onnx were not written: {_first_line(error)}"]
        return _onnx(program, folder / "model.onnx")


def _onnx(program: torch.export.ExportedProgram, path: Path) -> list[str]:
    if importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxscript") is None:
        return [_NO_ONNX]
    try:
        made = torch.onnx.export(program, dynamo=True, verbose=False, input_names=["input"], output_names=["output"])
        assert made is not None
        made.save(path, external_data=False)
    except OSError:
        raise
    except Exception as error:  # whatever the exporter does not support
        path.unlink(missing_ok=True)
        return [f"model.onnx was not written: {_first_line(error)}"]
    return []


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn and log about their own insides."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _describe(source: Source, folder: Path) -> None:
    candidate, lowered = source.candidate, source.lowered
    assert candidate.graph is not None
    content = {
        "trial": source.trial.number,
        "fingerprint": candidate.fingerprint,
        "genotype": dict(candidate.values),
        "hyperparameters": dict(candidate.hyperparameters),
        "input_shape": list(lowered.signature.shape),
        "outputs": lowered.signature.outputs,
        "graph": candidate.graph.to_json(),
        "lowered": lowered.graph().to_json(),
        "metrics": dict(source.trial.metrics),
    }
    (folder / "architecture.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
