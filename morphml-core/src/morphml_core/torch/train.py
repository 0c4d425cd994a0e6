"""Train one network, epoch by epoch: reports, checkpoints, memory that runs out, losses that are no number."""

from __future__ import annotations

import gc
import json
import logging
import math
from collections.abc import Callable, Generator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import nn

from morphml_core.errors import EvaluationError
from morphml_core.problem import Task
from morphml_core.protocols import Artifacts, Measurement
from morphml_core.torch.checkpoint import checkpoint_name, load, model_name, on_cpu, save
from morphml_core.torch.data import Prepared
from morphml_core.torch.isolation import isolated, seed_of
from morphml_core.torch.steps import Trainee

if TYPE_CHECKING:
    from morphml_core.evaluator.train import Config

FORMAT = 1
"""Format of checkpoints and models; a greater one was written by a newer version."""

_LOG = logging.getLogger("morphml_core.torch")
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@attrs.frozen(eq=False)
class Run:
    """What one training needs.  `make` builds the network (its weights from torch's generator); `graph` is its description."""

    task: Task
    make: Callable[[], nn.Module]
    graph: str
    settings: Config
    prepared: Prepared

    @property
    def device(self) -> torch.device:
        """Where the data are, and so where the network trains."""
        return self.prepared.train.targets.device

    @property
    def total(self) -> int:
        """Epochs to train, those of a continued trial included."""
        return self.settings.epochs if self.task.budget.epochs is None else self.task.budget.epochs

    @property
    def threads(self) -> int:
        """Threads on the CPU."""
        return self.settings.threads or max(1, int(self.task.resources.cpus))


def describe(graph: Any) -> str:
    """A graph as text, to see whether a checkpoint belongs to it."""
    return json.dumps(graph.to_json(), sort_keys=True)


def train(run: Run, artifacts: Artifacts) -> Generator[Measurement, None, dict[str, float]]:
    """Train from the start or the last checkpoint; yields after each epoch, returns the final metrics.

    The measurements of an interrupted attempt are yielded again, so the curve is whole.  Raises `EvaluationError`.
    """
    training = Training(run, artifacts)
    for step, metrics in training.replayed:
        yield Measurement(step, metrics)
    while training.done < run.total:
        metrics = training.advance()
        yield Measurement(training.done, metrics)
    return training.finish()


class Training:
    """One trial's training: where it stands, and how it goes on.  `done` counts whole epochs."""

    def __init__(self, run: Run, artifacts: Artifacts) -> None:
        self._run, self._artifacts = run, artifacts
        self._batch = run.settings.batch_size
        self._seconds = 0.0
        self._notes: list[str] = []
        self._curve: list[tuple[int, dict[str, float]]] = []
        self.replayed: list[tuple[int, dict[str, float]]] = []
        self._seed = run.task.seed
        self.done = 0
        self._saved = self._previous()
        self._trainee = self._guarded(self._restored)

    def _previous(self) -> dict[str, Any] | None:
        """The checkpoint to go on from: the trial's own at a later attempt, otherwise that of the trial it continues."""
        task, found = self._run.task, None
        if task.attempt > 1:
            found = self._checked(load(self._artifacts, checkpoint_name(task.number)), task.number)
            if found is not None:
                self.replayed = [(int(step), dict(metrics)) for step, metrics in found["curve"]]
        if found is None and task.continues is not None:
            found = self._checked(load(self._artifacts, checkpoint_name(task.continues)), task.continues)
            if found is not None:
                found = {**found, "curve": []}
        return found

    def _checked(self, found: dict[str, Any] | None, number: int) -> dict[str, Any] | None:
        if found is None:
            return None
        if found.get("format") != FORMAT:
            raise EvaluationError(
                "error",
                f"the checkpoint of trial {number} has the format {found.get('format')}; this version reads {FORMAT}",
            )
        if found["graph"] != self._run.graph:
            raise EvaluationError(
                "error", f"trial {self._run.task.number} cannot go on from trial {number}: its network is another one"
            )
        return found

    def _restored(self) -> Trainee:
        """A network at the last checkpoint, or with new weights, on the present batch size."""
        run, saved = self._run, self._saved
        if saved is not None:
            self._seed, self.done = saved["seed"], saved["epoch"]
            self._batch = (
                min(self._batch, saved["batch"]) if saved["planned"] == run.settings.batch_size else self._batch
            )
            self._seconds, self._notes = saved["seconds"], list(saved["notes"])
            self._curve = [(step, metrics) for step, metrics in saved["curve"]]
        with self._isolated(seed_of(self._seed, 0)):
            # Channels last in memory: a step takes about two thirds of the time on the CPU, and tensor cores want it too.
            model = run.make().to(run.device)
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            members = run.prepared.subset(run.task.budget.fraction)
            trainee = Trainee(model, run.prepared, run.settings, self._batch, members, run.settings.capture)
            if saved is not None:
                model.load_state_dict(saved["model"])
                self._restore_optimizer(trainee, saved)
        return trainee

    def _restore_optimizer(self, trainee: Trainee, saved: dict[str, Any]) -> None:
        """Its state, but not its options: those are the trial's own."""
        same = saved["optimizer_name"] == self._run.settings.optimizer
        if trainee.optimizer is not None and same:
            groups = trainee.optimizer.state_dict()["param_groups"]
            trainee.optimizer.load_state_dict({"state": saved["optimizer"], "param_groups": groups})
        trainee.scaler.load_state_dict(saved["scaler"])

    def _isolated(self, seed: int) -> Any:
        run = self._run
        return isolated(seed, run.device, run.threads, run.settings.deterministic)

    def advance(self) -> dict[str, float]:
        """Train one epoch, measure on the validation split, keep a checkpoint; return the metrics."""
        metrics: dict[str, float] = self._guarded(self._epoch)
        self.done += 1
        self._curve.append((self.done, metrics))
        self._saved = self._state()
        every = self._run.settings.checkpoint_every
        if every and (self.done % every == 0 or self.done == self._run.total):
            save(self._artifacts, checkpoint_name(self._run.task.number), self._saved)
        return metrics

    def _epoch(self) -> dict[str, float]:
        started, trainee, epoch = perf_counter(), self._trainee, self.done + 1
        plan = trainee.plan(self._seed, epoch, self._run.total)
        with self._isolated(seed_of(self._seed, epoch)):
            loss = trainee.epoch(plan)
            _finite(loss, "training", epoch)
            metrics = trainee.measure(self._run.prepared.valid)
            _finite(metrics["loss"], "validation", epoch)
        self._seconds += perf_counter() - started
        return {**metrics, "train_loss": loss}

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Do the work; where memory runs out, go back to the last whole epoch on half the batch, and do it again."""
        while True:
            try:
                return work()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            self._shrink(message)
            if work != self._restored:
                self._trainee = self._guarded(self._restored)

    def _shrink(self, message: str) -> None:
        smallest = self._run.settings.minimum_batch
        if self._batch // 2 < smallest:
            raise EvaluationError(
                "out_of_memory",
                f"memory ran out with a batch of {self._batch}, and the next smaller one would be below minimum_batch: "
                f"{smallest} ({message})",
            )
        self._batch //= 2
        note = f"memory ran out in epoch {self.done + 1}; it was started again with a batch of {self._batch}"
        self._notes.append(note)
        _LOG.warning(note)
        if self._saved is not None:
            self._saved = {**self._saved, "batch": self._batch, "notes": list(self._notes)}
        self.__dict__.pop("_trainee", None)
        gc.collect()
        if self._run.device.type == "cuda":
            torch.cuda.empty_cache()

    def _state(self) -> dict[str, Any]:
        trainee, settings = self._trainee, self._run.settings
        optimizer = {} if trainee.optimizer is None else trainee.optimizer.state_dict()["state"]
        return {
            "format": FORMAT,
            "graph": self._run.graph,
            "seed": self._seed,
            "epoch": self.done,
            "batch": self._batch,
            "planned": settings.batch_size,
            "model": on_cpu(dict(trainee.model.state_dict())),
            "optimizer_name": settings.optimizer,
            "optimizer": on_cpu(optimizer),
            "scaler": trainee.scaler.state_dict(),
            "curve": [[step, metrics] for step, metrics in self._curve],
            "seconds": self._seconds,
            "notes": self._all_notes(),
        }

    def _all_notes(self) -> list[str]:
        return list(dict.fromkeys([*self._notes, *self._trainee.notes]))

    def finish(self) -> dict[str, float]:
        """Measure the trained network on the validation and test split, and keep it."""
        run, started = self._run, perf_counter()
        with self._isolated(seed_of(self._seed, 0)):
            valid = self._trainee.measure(run.prepared.valid)
            test = self._trainee.measure(run.prepared.test)
        self._seconds += perf_counter() - started
        metrics = {**valid, **{f"test_{name}": value for name, value in test.items() if name != "loss"}}
        last = self._curve[-1][1] if self._curve else {}
        train_loss = {"train_loss": last["train_loss"]} if "train_loss" in last else {}
        content = {
            "format": FORMAT,
            "graph": run.graph,
            "model": on_cpu(dict(self._trainee.model.state_dict())),
            "epoch": self.done,
            "notes": self._all_notes(),
        }
        save(self._artifacts, model_name(run.task.number), content)
        return {**metrics, **train_loss, "epochs": float(self.done), "seconds": self._seconds}


def _finite(loss: float, split: str, epoch: int) -> None:
    if not math.isfinite(loss):
        advice = "try a smaller learning_rate, or gradient_clip: 1"
        raise EvaluationError("error", f"the {split} loss became {loss} in epoch {epoch}; {advice}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether host or device had no more memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(part in str(error) for part in _NO_MEMORY)
