"""The texts of an export: model.py, and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from morphml_core.graph.shapes import Lowered
from morphml_core.problem import Candidate, Trial
from morphml_core.torch.data import Prepared
from morphml_core.torch.source import source

MODEL = '''

# What the network was trained to read: (sample - MEAN) / DEVIATION.
MEAN = {mean}
DEVIATION = {deviation}
{constants}

class Model(nn.Module):
    """The network with its preprocessing.

    Input: (batch, {shape}) {type} samples, {unit}.
    Output: (batch, {outputs}) {result}.
    """

    def __init__(self):
        super().__init__()
        self.network = Network()
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION), persistent=False)
{buffers}
    def forward(self, x):
        x = self.network((x.float() - self.mean) / self.deviation)
        return {returned}


def load(weights=None):
    """The trained model, in evaluation mode; `weights` is a state_dict file (default: weights.pt beside this file)."""
    path = Path(__file__).with_name("weights.pt") if weights is None else weights
    model = Model()
    model.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()
'''

CARD = """# A network found by MorphML

{summary}

| metric | value |
| --- | --- |
{metrics}

Metrics without a prefix were measured on the {valid} validation samples, which guided the search; those with `test_` on the {test}
test samples, which it never saw.

## Data

Dataset `{dataset}`: {train} training samples of shape {shape}, with values from {low:g} to {high:g}. {targets}

## Load it

`model.py` needs PyTorch alone, and brings the preprocessing along:

```python
import torch
from model import load

model = load()
outputs = model(torch.zeros(1, {sizes}, dtype=torch.{type}))  # {result}
```

`model.pt2` is the same for `torch.export.load`{onnx}, `weights.pt` the state_dict of the class `Network`, and
`architecture.json` the architecture as data.

## How it was found

Trial {number}{origin}, trained for {epochs} epochs. Its decisions:

| decision | value |
| --- | --- |
{decisions}

{notes}"""


def module_source(lowered: Lowered, prepared: Prepared) -> str:
    """The text of model.py: the network line by line, its preprocessing, and `load()`."""
    network = source(lowered, "Network").replace("import torch\n", "from pathlib import Path\n\nimport torch\n", 1)
    constants, buffers, returned = "", "", "x"
    if prepared.regression:
        constants = (
            f"TARGET_MEAN = {_plain(prepared.targets.mean)}\nTARGET_DEVIATION = {_plain(prepared.targets.deviation)}\n"
        )
        names = ("target_mean", "target_deviation")
        buffers = "".join(
            f'        self.register_buffer("{name}", torch.tensor({name.upper()}), persistent=False)\n'
            for name in names
        )
        returned = "x * self.target_deviation + self.target_mean"
    elif prepared.data.classes:
        constants = f"CLASSES = {prepared.data.classes!r}\n"
    return (
        network.rstrip("\n")
        + "\n"
        + MODEL.format(
            mean=_plain(prepared.inputs.mean),
            deviation=_plain(prepared.inputs.deviation),
            constants=constants,
            buffers=buffers,
            returned=returned,
            shape=", ".join(map(str, lowered.signature.shape)),
            outputs=lowered.signature.outputs,
            type=_type(prepared),
            unit="bytes from 0 to 255" if _type(prepared) == "uint8" else "as the dataset holds them",
            result=_result(prepared),
        )
    )


def _plain(values: Tensor) -> Any:
    """Nested lists; a float32 written as a Python float reads back as the same float32."""
    return values.cpu().tolist()


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


def _type(prepared: Prepared) -> str:
    return str(prepared.train.inputs.dtype).removeprefix("torch.")


def _result(prepared: Prepared) -> str:
    if prepared.regression:
        return "values in the targets' unit"
    return "logits, one a class; the class is the largest, the softmax its probability"


def card(
    trial: Trial,
    candidate: Candidate,
    dataset: str,
    prepared: Prepared,
    metrics: Mapping[str, float],
    notes: Sequence[str],
) -> str:
    """The model card, in Markdown."""
    known = {name: value for name, value in trial.metrics.items() if name not in metrics and name != "seconds"}
    table = {**metrics, **known}
    shape = tuple(prepared.train.inputs.shape[1:])
    return CARD.format(
        summary=_summary(trial, shape, prepared),
        metrics="\n".join(f"| {name} | {_number(value)} |" for name, value in table.items()),
        valid=len(prepared.valid),
        test=len(prepared.test),
        train=len(prepared.train),
        low=prepared.train.inputs.min().item(),
        high=prepared.train.inputs.max().item(),
        dataset=dataset,
        shape=shape,
        sizes=", ".join(map(str, shape)),
        targets=_targets(prepared),
        type=_type(prepared),
        result=_result(prepared),
        onnx=", `model.onnx` for an ONNX runtime" if not any(note.startswith("model.onnx") for note in notes) else "",
        number=trial.number,
        origin=f" ({trial.origin})" if trial.origin else "",
        epochs=f"{trial.metrics['epochs']:g}" if "epochs" in trial.metrics else "some",
        decisions="\n".join(f"| {path} | {value} |" for path, value in candidate.values.items()),
        notes="".join(f"- {note}\n" for note in notes),
    )


def _summary(trial: Trial, shape: tuple[int, ...], prepared: Prepared) -> str:
    task = "predicts numbers from" if prepared.regression else "classifies"
    parameters = trial.metrics.get("parameters")
    size = f" with {parameters:,.0f} parameters" if parameters is not None else ""
    return f"A neural network{size} that {task} samples of shape {shape}."


def _targets(prepared: Prepared) -> str:
    if prepared.regression:
        return "The targets are numbers."
    names = prepared.data.classes
    return f"Classes: {', '.join(names)}." if names else "The targets are classes."
