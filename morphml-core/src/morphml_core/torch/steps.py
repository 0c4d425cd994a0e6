"""A network in training: its optimizer, one epoch of steps, and its measurement on a split."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from morphml_core.torch.augment import Draws, augment, draw
from morphml_core.torch.data import Prepared, Samples
from morphml_core.torch.graphs import Capture, RefusedError
from morphml_core.torch.isolation import seed_of
from morphml_core.torch.schedule import rates, scaled

if TYPE_CHECKING:
    from morphml_core.evaluator.train import Config

Pick: TypeAlias = Callable[[Tensor], Tensor]
"""Takes one step's part from a tensor whose first axis is the steps of an epoch."""

_LOG = logging.getLogger("morphml_core.torch")


@attrs.frozen(eq=False)
class Plan:
    """All that is random or scheduled in one epoch.  `order`: (steps, batch) sample indices; `rates`: (steps,)."""

    order: Tensor
    draws: Draws
    rates: Tensor

    def tensors(self) -> list[Tensor]:
        """Every tensor of the plan, in a fixed order."""
        found = (self.order, self.draws.shift, self.draws.flip, self.draws.hole, self.rates)
        return [tensor for tensor in found if tensor is not None]

    def to(self, device: torch.device) -> Plan:
        """The plan on the device."""
        draws = Draws(*(None if t is None else t.to(device) for t in attrs.astuple(self.draws, recurse=False)))
        return Plan(self.order.to(device), draws, self.rates.to(device))


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups of parameters: matrices and kernels decay, biases and norms do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def optimizer_of(model: nn.Module, settings: Config, rate: float | Tensor) -> torch.optim.Optimizer | None:
    """The optimizer, in its fused form; None for a network without parameters."""
    groups = decayed(model, settings.weight_decay)
    if not groups:
        return None
    if settings.optimizer == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, nesterov=nesterov, fused=True)
    on_device = isinstance(rate, Tensor)
    betas = (settings.momentum, 0.999)
    return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True, capturable=on_device)


def precision(amp: str, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision, or None for float32 throughout."""
    if amp == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16 if device.type == "cuda" else torch.bfloat16}[
        amp
    ]


class Trainee:
    """A network, the data it learns from, and where its optimizer stands.

    `members` are the indices of the training samples in use (None: all).  `batch` may be smaller than the settings say, after
    running out of memory: the learning rate is then scaled.
    """

    def __init__(
        self, model: nn.Module, prepared: Prepared, settings: Config, batch: int, members: Tensor | None, capture: bool
    ) -> None:
        self.model = model
        self.notes: list[str] = []
        self._prepared, self._settings, self._members = prepared, settings, members
        self._device = prepared.train.targets.device
        count = len(prepared.train) if members is None else len(members)
        self.batch = min(batch, count)
        self.steps = count // self.batch
        self._peak = scaled(settings.learning_rate, settings.optimizer, batch, settings.batch_size)
        cuda = self._device.type == "cuda"
        self._rate = torch.zeros((), device=self._device) if cuda else None
        self.optimizer = optimizer_of(model, settings, 0.0 if self._rate is None else self._rate)
        self._type = precision(settings.amp, self._device)
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=self._type is torch.float16)
        self._total = torch.zeros((), dtype=torch.float64, device=self._device)
        self._capture: Capture | None = Capture() if cuda and capture and self._may_capture() else None

    def _may_capture(self) -> bool:
        if self._type is torch.float16:
            self.note("steps are not captured as a CUDA graph: fp16 needs a gradient scaler, which decides on the host")
        return self._type is not torch.float16

    def note(self, text: str) -> None:
        """Keep a remark for people, and log it."""
        self.notes.append(text)
        _LOG.warning(text)

    def plan(self, seed: int, epoch: int, total: int) -> Plan:
        """Draw one epoch, on the CPU whatever the device: so the same everywhere."""
        settings, size = self._settings, (self.steps, self.batch)
        generator = torch.Generator().manual_seed(seed_of(seed, epoch) ^ 1)
        members = torch.arange(len(self._prepared.train)) if self._members is None else self._members.cpu()
        order = members[torch.randperm(len(members), generator=generator)][: self.steps * self.batch].reshape(size)
        shape = tuple(self._prepared.train.inputs.shape[1:])
        draws = draw(settings.augmentation, shape, *size, generator)
        length = settings.schedule_epochs or total
        learning = rates(self._peak, settings.schedule, settings.warmup, length, epoch, self.steps)
        return Plan(order, draws, torch.tensor(learning, dtype=torch.float64 if self._rate is None else torch.float32))

    def epoch(self, plan: Plan) -> float:
        """Run the steps of one epoch and return the mean training loss."""
        self.model.train()
        self._total.zero_()
        if self._capture is not None:
            try:
                self._capture.run(plan.to(self._device), self._step, self._tensors)
                return float(self._total) / self.steps
            except RefusedError as error:
                self._capture = None
                self.note(f"steps are not captured as a CUDA graph: {error}")
                self._total.zero_()
        plan = plan.to(self._device)
        for step in range(self.steps):
            self._step(plan, lambda tensor, step=step: tensor[step])  # type: ignore[misc]
        return float(self._total) / self.steps

    def _tensors(self) -> list[Tensor]:
        """What a step changes: parameters, buffers and the optimizer's state."""
        state = [] if self.optimizer is None else [s[k] for s in self.optimizer.state.values() for k in sorted(s)]
        return [
            *self.model.parameters(),
            *self.model.buffers(),
            *(t for t in state if isinstance(t, Tensor)),
            self._total,
        ]

    def _step(self, plan: Plan, pick: Pick) -> None:
        inputs, targets = self._batch(plan, pick)
        with self._autocast():
            outputs = self.model(inputs)
        loss = self._loss(outputs.float(), targets)
        if self.optimizer is not None:
            self._set_rate(pick(plan.rates))
            self._learn(loss)
        self._total.add_(loss.detach())

    def _batch(self, plan: Plan, pick: Pick) -> tuple[Tensor, Tensor]:
        samples, places = self._prepared.train, pick(plan.order)
        inputs = samples.inputs.index_select(0, places)
        draws = Draws(*(None if t is None else pick(t) for t in attrs.astuple(plan.draws, recurse=False)))
        return self._prepared.inputs.apply(augment(inputs, draws)), samples.targets.index_select(0, places)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self._prepared.regression:
            return functional.mse_loss(outputs, targets)
        return functional.cross_entropy(outputs, targets, label_smoothing=self._settings.label_smoothing)

    def _set_rate(self, rate: Tensor) -> None:
        assert self.optimizer is not None
        if self._rate is not None:
            self._rate.copy_(rate)
            return
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)

    def _learn(self, loss: Tensor) -> None:
        assert self.optimizer is not None
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        if self._settings.gradient_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._type is None:
            return nullcontext()
        # A captured step may not use casts that were cached outside it.
        return torch.autocast(self._device.type, self._type, cache_enabled=False)

    def measure(self, samples: Samples) -> dict[str, float]:
        """The metrics of the network on a split, in float32."""
        return measure(self.model, self._prepared, samples)


def predict(model: nn.Module, prepared: Prepared, samples: Samples) -> Tensor:
    """The network's outputs on a split, (n, outputs), in float32 and evaluation mode, in batches."""
    batch = 2048 if samples.inputs.device.type == "cuda" else 256
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(prepared.inputs.apply(part)).float() for part in torch.split(samples.inputs, batch)])


def measure(model: nn.Module, prepared: Prepared, samples: Samples) -> dict[str, float]:
    """Classification: accuracy, loss (cross-entropy).  Regression: rmse (in the targets' unit), r2 (mean over targets), loss."""
    return scores(predict(model, prepared, samples), prepared, samples)


def scores(outputs: Tensor, prepared: Prepared, samples: Samples) -> dict[str, float]:
    """The metrics of outputs (of standardised ones, for a regression) on a split."""
    if not prepared.regression:
        loss = functional.cross_entropy(outputs, samples.targets)
        right = (outputs.argmax(1) == samples.targets).sum()
        return {"accuracy": int(right) / len(samples), "loss": float(loss)}
    squares = (outputs - samples.targets).double().square().mean(0)
    spread = samples.targets.double().var(0, correction=0).clamp_min(1e-12)
    rmse = (squares * prepared.targets.deviation.double().square()).mean().sqrt()
    return {"rmse": float(rmse), "r2": float((1 - squares / spread).mean()), "loss": float(squares.mean())}
