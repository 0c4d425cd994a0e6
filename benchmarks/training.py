"""How many candidate-epochs a minute training gets through, three ways, on the same networks and data.

    python benchmarks/training.py [--data FOLDER] [--networks 6] [--epochs 2] [--rounds 3]

One candidate-epoch is one pass of one network over the training images and a measurement on the validation images; building the
network, and capturing its step, count too.  The networks are the first that a random search of
examples/fashion_mnist.yaml would train.

- dataloader: a plain loop with a DataLoader, as tutorials write it;
- eager: MorphML's loop with the data on the device, steps launched one by one;
- captured: the same, a step captured as one CUDA graph (CUDA only).

Prints one JSON object.  `--data` is a folder of Fashion-MNIST's IDX files (default: that of Debian's
package); where it has none, 60,000 random images of the same size stand in, which take the same time.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from morphml_core.assembly import problem_of
from morphml_core.config import resolve_file
from morphml_core.dataset import fashion_mnist
from morphml_core.errors import EvaluationError
from morphml_core.evaluator.train import Config
from morphml_core.graph.cost import known_metrics
from morphml_core.graph.shapes import Lowered
from morphml_core.protocols import Data, Split
from morphml_core.torch.build import build
from morphml_core.torch.data import Prepared, prepare
from morphml_core.torch.isolation import isolated, seed_of
from morphml_core.torch.steps import Trainee, precision

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "fashion_mnist.yaml"


def images(folder: Path, count: int) -> tuple[Data, str]:
    """Fashion-MNIST, or random images; and which of them."""
    try:
        data, name = fashion_mnist.FashionMnist(fashion_mnist.Config(folder)).load(), "Fashion-MNIST"
    except EvaluationError:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (70_000, 1, 28, 28), dtype=np.uint8)
        targets = rng.integers(0, 10, 70_000)
        cuts = ((0, 50_000), (50_000, 60_000), (60_000, 70_000))
        train, valid, test = (Split(pixels[start:end], targets[start:end]) for start, end in cuts)
        data, name = Data(train, valid, test, fashion_mnist.FashionMnist.signature), "random images"
    assert data.valid is not None
    train, valid = _first(data.train, count * 5 // 6), _first(data.valid, count // 6)
    return Data(train, valid, data.test, data.signature), name


def _first(split: Split, count: int) -> Split:
    return Split(split.inputs[:count], split.targets[:count])


def networks(count: int) -> list[Lowered]:
    """The first networks that a random search of the example would train: random ones that keep its constraints."""
    resolved = resolve_file(EXAMPLE)
    space = resolved.space.create()
    evaluator = resolved.evaluator.create(space)
    problem = problem_of(resolved.configuration, space, evaluator)
    candidates = [problem.candidate(problem.sample(problem.rng(number))) for number in range(count)]
    return [evaluator.lowered(candidate) for candidate in candidates]


def plain(lowered: Lowered, prepared: Prepared, settings: Config, epochs: int, workers: int) -> None:
    """The loop that tutorials write: a DataLoader, a copy of each batch to the device, a step."""
    device = prepared.train.targets.device
    kind = precision(settings.amp, device)

    def loader(split: Split, train: bool) -> DataLoader[Any]:
        inputs = (torch.tensor(split.inputs).float() - prepared.inputs.mean.cpu()) / prepared.inputs.deviation.cpu()
        return DataLoader(
            TensorDataset(inputs, torch.tensor(split.targets)), settings.batch_size, shuffle=train, drop_last=train,
            num_workers=workers, persistent_workers=workers > 0, pin_memory=device.type == "cuda",
        )  # fmt: skip

    assert prepared.data.valid is not None
    train, valid = loader(prepared.data.train, True), loader(prepared.data.valid, False)
    model = build(lowered).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train))
    for _ in range(epochs):
        _plain_epoch(model, train, optimizer, schedule, device, kind)
        model.eval()
        right = 0
        with torch.inference_mode():
            for inputs, targets in valid:
                right += int((model(inputs.to(device)).argmax(1) == targets.to(device)).sum())


def _plain_epoch(
    model: nn.Module,
    train: DataLoader[Any],
    optimizer: Any,
    schedule: Any,
    device: torch.device,
    kind: torch.dtype | None,
) -> None:
    model.train()
    for inputs, targets in train:
        inputs, targets = inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        optimizer.zero_grad()
        with torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None):
            loss = functional.cross_entropy(model(inputs), targets)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()


def ours(lowered: Lowered, prepared: Prepared, settings: Config, epochs: int, capture: bool) -> list[str]:
    """MorphML's loop; returns its notes."""
    device = prepared.train.targets.device
    with isolated(0, device, torch.get_num_threads(), settings.deterministic):
        model = build(lowered).to(device)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        trainee = Trainee(model, prepared, settings, settings.batch_size, None, capture)
    for epoch in range(1, epochs + 1):
        plan = trainee.plan(0, epoch, epochs)
        with isolated(seed_of(0, epoch), device, torch.get_num_threads(), settings.deterministic):
            trainee.epoch(plan)
            trainee.measure(prepared.valid)
    return trainee.notes


def rate(run: Callable[[Lowered], object], nets: list[Lowered], epochs: int, device: torch.device) -> float:
    """Candidate-epochs a minute."""
    started = perf_counter()
    for lowered in nets:
        run(lowered)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 60 * epochs * len(nets) / (perf_counter() - started)


def summary(values: list[float]) -> dict[str, Any]:
    """Median and spread over the rounds."""
    return {"median": round(statistics.median(values), 2), "min": round(min(values), 2), "max": round(max(values), 2)}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Candidate-epochs a minute: DataLoader, eager, captured.")
    parser.add_argument("--data", type=Path, default=fashion_mnist.DEBIAN, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--images", type=int, help="training and validation images (default: 60000; on the CPU 3000)")
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=0, help="processes of the DataLoader")
    parser.add_argument("--amp", choices=("auto", "off", "bf16"), default="auto")
    parser.add_argument("--augmentation", default="none", help="for eager and captured; the plain loop has none")
    parser.add_argument("--nondeterministic", action="store_true", help="let cuDNN choose its fastest kernels")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = arguments()
    logging.disable(logging.WARNING)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = given.images or (60_000 if device.type == "cuda" else 3_000)
    data, name = images(given.data, count)
    settings = Config(
        dataset=None,  # type: ignore[arg-type]
        batch_size=given.batch, amp=given.amp, augmentation=given.augmentation, deterministic=not given.nondeterministic
    )  # fmt: skip
    prepared, nets, notes = prepare(data, 0.15, True, device), networks(given.networks), []
    runs: dict[str, Callable[[Lowered], object]] = {
        "dataloader": lambda net: plain(net, prepared, settings, given.epochs, given.workers),
        "eager": lambda net: ours(net, prepared, settings, given.epochs, False),
    }
    if device.type == "cuda":
        runs["captured"] = lambda net: notes.extend(ours(net, prepared, settings, given.epochs, True))
    else:
        notes.append(f"no CUDA device: nothing is captured, and {count} images stand for the whole set")
    for run in runs.values():
        run(nets[0])  # libraries are loaded and kernels found before the clock runs
    rounds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(given.rounds):
        for label, run in runs.items():
            rounds[label].append(rate(run, nets, given.epochs, device))
    found = {label: summary(values) for label, values in rounds.items()}
    best = found["captured" if "captured" in found else "eager"]["median"]
    result = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "data": name,
        "images": count,
        "parameters": [int(known_metrics(net)["parameters"]) for net in nets],
        "epochs": given.epochs,
        "rounds": given.rounds,
        "precision": str(precision(settings.amp, device) or torch.float32),
        "candidate_epochs_per_minute": found,
        "times_dataloader": round(best / found["dataloader"]["median"], 2),
        "notes": list(dict.fromkeys(notes)),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
