"""Training on CUDA: captured steps compute what eager ones do.  Skipped where there is no device."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from morphml_core.evaluator.train import Config
from morphml_core.graph.operations import Signature
from morphml_core.protocols import Data, Split
from morphml_core.torch.data import prepare
from morphml_core.torch.isolation import isolated, seed_of
from morphml_core.torch.steps import Trainee

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def trainee(capture, dropout=0.0, **changes):
    device = torch.device("cuda")
    rng = np.random.default_rng(0)
    targets = np.arange(256) % 4
    inputs = (rng.random((256, 1, 8, 8)) * 60 + targets[:, None, None, None] * 50).astype(np.uint8)
    prepared = prepare(Data(Split(inputs, targets), None, None, Signature((1, 8, 8), 4)), 0.2, True, device)
    settings = Config(dataset=None, batch_size=32, **{"learning_rate": 0.01, "amp": "off", **changes})
    with isolated(0, device, 1, True):
        layers = [nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(dropout)]
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 4)).to(device)
        model.to(memory_format=torch.channels_last)
        return Trainee(model, prepared, settings, 32, None, capture)


def run(found, epochs=3):
    losses = []
    for epoch in range(1, epochs + 1):
        plan = found.plan(7, epoch, epochs)
        with isolated(seed_of(7, epoch), torch.device("cuda"), 1, True):
            losses.append(found.epoch(plan))
    return losses


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd"},
        {"augmentation": "flip_crop_cutout", "label_smoothing": 0.1},
        {"gradient_clip": 0.5, "warmup": 1.0},
        {"amp": "bf16"},
    ],
)
def test_captured_steps_learn_what_eager_steps_learn(changes):
    captured, eager = trainee(True, **changes), trainee(False, **changes)
    found, expected = run(captured), run(eager)
    assert captured.notes == []
    assert captured._capture is not None
    assert found == pytest.approx(expected, rel=2e-2 if "amp" in changes else 1e-3)
    assert found[-1] < found[0]


def test_captured_training_repeats_itself():
    first, second = trainee(True, dropout=0.3), trainee(True, dropout=0.3)
    assert run(first) == run(second)
    for one, two in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_dropout_differs_from_step_to_step():
    torch.cuda.synchronize()
    losses = run(trainee(True, dropout=0.5, learning_rate=1e-12), epochs=3)
    assert len(set(losses)) == 3


def test_a_step_that_asks_the_host_falls_back_and_says_why():
    found = trainee(True)

    class Asking(nn.Module):
        def forward(self, x):
            return x * (1 if float(x.detach().sum()) > 0 else 2)

    found.model.append(Asking())
    losses = run(found)
    assert found._capture is None
    assert len(losses) == 3
    assert found.notes[0].startswith("steps are not captured as a CUDA graph: ")


def test_fp16_says_why_it_is_not_captured():
    found = trainee(True, amp="fp16")
    assert found.notes == [
        "steps are not captured as a CUDA graph: fp16 needs a gradient scaler, which decides on the host"
    ]
    losses = run(found)
    assert losses[-1] < losses[0]
