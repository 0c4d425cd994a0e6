"""Evaluator `train`: build the candidate's network, train it on a dataset, measure it.  Needs the extra `torch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from morphml_core.errors import Complaint, ConfigurationError, EvaluationError
from morphml_core.graph.cost import known_metrics
from morphml_core.graph.operations import Signature
from morphml_core.graph.shapes import Lowered, lower
from morphml_core.plugins import component as kinds
from morphml_core.plugins.component import Part
from morphml_core.problem import Budget, Candidate, Metrics, Task, Trial
from morphml_core.protocols import Checked, Data, Dataset, Evaluation, Signed, Space, Workbench
from morphml_core.space.domains import Choice, Integer, Real

if TYPE_CHECKING:
    from morphml_core.torch.data import Prepared

Augmentation = Literal["none", "shift", "flip", "flip_crop", "cutout", "flip_crop_cutout"]

SEARCHABLE = (
    "learning_rate", "batch_size", "weight_decay", "momentum", "optimizer", "schedule", "warmup", "label_smoothing",
    "augmentation", "gradient_clip",
)  # fmt: skip
"""The options that a space's hyperparameters of the same name replace, candidate by candidate."""

_PREFIX = "hyperparameters."
_positive: Any = attrs.validators.gt(0)
_not_negative: Any = attrs.validators.ge(0)
_below_one: Any = attrs.validators.lt(1)
_below_half: Any = attrs.validators.lt(0.5)


@attrs.frozen(kw_only=True)
class Config:
    """Options of the evaluator `train`."""

    dataset: Part[Dataset] = kinds.part("dataset")
    """The data to train, validate and test on."""
    epochs: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    """Passes over the training samples in a full evaluation; an optimizer such as Hyperband asks for less."""
    batch_size: int = attrs.field(default=128, validator=attrs.validators.ge(1))
    """Samples in one step.  The samples that do not fill a last batch sit this epoch out."""
    optimizer: Literal["adamw", "sgd"] = attrs.field(default="adamw", validator=attrs.validators.in_(("adamw", "sgd")))
    """AdamW (Loshchilov and Hutter, 2019), or stochastic gradient descent with Nesterov momentum."""
    learning_rate: float = attrs.field(default=0.003, validator=_positive)
    """The highest learning rate.  With sgd, 0.05 is a usual start."""
    weight_decay: float = attrs.field(default=0.01, validator=_not_negative)
    """Weight decay of matrices and kernels; biases and norms have none.  With sgd, 0.0005 is usual."""
    momentum: float = attrs.field(default=0.9, validator=[_not_negative, _below_one])
    """Momentum of sgd, the first beta of adamw."""
    schedule: Literal["cosine", "constant"] = attrs.field(
        default="cosine", validator=attrs.validators.in_(("cosine", "constant"))
    )
    """How the learning rate goes: down to zero along a cosine over all epochs of the trial, or not at all."""
    schedule_epochs: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """Length of the schedule in epochs, where it must not depend on the trial's budget: set it to the largest budget, and a
    trial that continues another with more epochs is exactly one that was never interrupted."""
    warmup: float = attrs.field(default=0.0, validator=_not_negative)
    """Epochs in which the learning rate rises linearly from zero."""
    label_smoothing: float = attrs.field(default=0.0, validator=[_not_negative, _below_one])
    """Share of each target that is spread over all classes (Szegedy et al., 2016).  It does not enter the reported `loss`."""
    gradient_clip: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    """Largest norm of a step's gradient, or null for no limit."""
    augmentation: Augmentation = attrs.field(
        default="none",
        validator=attrs.validators.in_(("none", "shift", "flip", "flip_crop", "cutout", "flip_crop_cutout")),
    )
    """Random changes to training images: small shifts, flips left to right (flip_crop does both), a hole (cutout, with shifts)."""
    standardize: bool = True
    """Bring inputs to zero mean and unit deviation, a channel or a feature each, by the training samples; false: bytes to 0 to 1,
    other numbers as they are.  Targets of a regression are always standardized inside; metrics are in their own unit."""
    holdout: float = attrs.field(default=0.15, validator=[_positive, _below_half])
    """Share of the training samples that is held out for each of validation and test where the dataset does not have that split."""
    device: Literal["auto", "cpu", "cuda"] = attrs.field(
        default="auto", validator=attrs.validators.in_(("auto", "cpu", "cuda"))
    )
    """Where to train; `auto`: on CUDA where there is some."""
    amp: Literal["auto", "off", "bf16", "fp16"] = attrs.field(
        default="auto", validator=attrs.validators.in_(("auto", "off", "bf16", "fp16"))
    )
    """Mixed precision in training (never in evaluation); `auto`: on CUDA, bf16 where the device has it, otherwise fp16 with a
    gradient scaler."""
    capture: bool = True
    """On CUDA, capture a training step as one CUDA graph.  Where that fails, training goes on without, and a note says why."""
    deterministic: bool = True
    """The same seed gives the same result: on the CPU to the last bit for the same number of threads; on CUDA wherever
    an operation has a deterministic kernel."""
    threads: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """Threads that compute on the CPU; by default the trial's `cpus`."""
    checkpoint_every: int = attrs.field(default=1, validator=_not_negative)
    """Epochs between two checkpoints, from which an interrupted trial goes on; 0: none, and no trial continues another."""
    minimum_batch: int = attrs.field(default=8, validator=attrs.validators.ge(1))
    """How small a batch may get by halving after running out of memory."""


METRICS = (
    "accuracy", "loss", "rmse", "r2", "test_accuracy", "test_rmse", "test_r2", "train_loss", "epochs", "seconds",
    "parameters", "flops", "activation_memory",
)  # fmt: skip
"""What `Train` measures: docs/training.md says what each is."""


class Train:
    """Trains networks.  Metrics: see docs/training.md.  Nothing here imports torch before a network is trained."""

    def __init__(self, config: Config, space: Space) -> None:
        if space.operations is None:
            raise _complaint(
                "the evaluator 'train' trains networks, but the space has no graph; choose a space of networks such as chain or cnn"
            )
        self._config = config
        self._space = space
        self._operations = space.operations
        self._dataset = config.dataset.create()
        self._data: Data | None = None
        self._prepared: dict[str, Prepared] = {}
        check_hyperparameters(config, space)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None, "_prepared": {}}

    @property
    def budget(self) -> Budget:
        """The configured number of epochs, on all training samples."""
        return Budget(epochs=self._config.epochs)

    @property
    def signature(self) -> Signature:
        """What the networks read and return."""
        return self._dataset.signature if isinstance(self._dataset, Signed) else self.data.signature

    @property
    def data(self) -> Data:
        """The dataset, loaded once."""
        if self._data is None:
            try:
                self._data = self._dataset.load()
            except OSError as error:
                raise EvaluationError("error", str(error)) from error
        return self._data

    def check_data(self) -> None:
        """Whether the data are there, where the dataset can tell without loading them."""
        if isinstance(self._dataset, Checked):
            self._dataset.check_data()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics, of classification and of regression."""
        return METRICS

    def lowered(self, candidate: Candidate) -> Lowered:
        """The candidate's graph with shapes.  Raises `ShapeError`."""
        if candidate.graph is None:
            raise EvaluationError("invalid", "the candidate has no graph, so there is nothing to train")
        return lower(candidate.graph, self._operations, self.signature)

    def known(self, candidate: Candidate) -> Metrics:
        """parameters, flops, activation_memory."""
        return known_metrics(self.lowered(candidate))

    def settings(self, candidate: Candidate) -> Config:
        """The options, with the candidate's hyperparameters in place of those of the same name."""
        settings, shape = _with(self._config, candidate.hyperparameters), self.signature.shape
        if settings.augmentation != "none" and len(shape) != 3:
            raise EvaluationError(
                "invalid",
                f"augmentation: {settings.augmentation} needs images (channels, height, width), but a sample has the shape {shape}",
            )
        return settings

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """Train, yielding a measurement after each epoch.  Raises `EvaluationError` for a loss that is not finite, and for
        memory that runs out on the smallest batch too."""
        from morphml_core.torch.build import build
        from morphml_core.torch.train import Run, describe, train

        lowered, settings = self.lowered(candidate), self.settings(candidate)
        run = Run(task, lambda: build(lowered), describe(candidate.graph), settings, self.prepared())
        metrics = yield from train(run, workbench.artifacts)
        return {**metrics, **known_metrics(lowered)}

    def prepared(self) -> Prepared:
        """The data on the device, once a process."""
        from morphml_core.torch.data import prepare
        from morphml_core.torch.isolation import device_of

        config = self._config
        device = device_of(config.device)
        if device.type not in self._prepared:
            self._prepared[device.type] = prepare(self.data, config.holdout, config.standardize, device)
        return self._prepared[device.type]

    def export(self, trial: Trial, candidate: Candidate, workbench: Workbench, folder: Path) -> Mapping[str, Any]:
        """Write the trained network, and check that what was written gives the recorded metrics."""
        from morphml_core.torch.export import Source, export

        part = self._config.dataset
        source = Source(trial, candidate, self.lowered(candidate), self.settings(candidate), self.data, part.ref.name)
        return export(source, workbench.artifacts, folder)


def check_hyperparameters(config: Config, space: Space) -> None:
    """Every hyperparameter of the space is a searchable option, and its values are allowed.  Raises `ConfigurationError`."""
    complaints = []
    for decision in space.decisions.decisions:
        if not decision.path.startswith(_PREFIX):
            continue
        name = decision.path.removeprefix(_PREFIX)
        for value in _extremes(decision.domain):
            try:
                _with(config, {name: value})
            except EvaluationError as error:
                complaints.append(Complaint("", str(error)))
                break
    if complaints:
        raise ConfigurationError(complaints)


def _extremes(domain: object) -> tuple[Any, ...]:
    if isinstance(domain, Choice):
        return domain.values
    if isinstance(domain, Integer | Real):
        return domain.low, domain.high
    return (None,)


def _with(config: Config, hyperparameters: Mapping[str, Any]) -> Config:
    changes = {}
    for name, value in hyperparameters.items():
        if name not in SEARCHABLE:
            raise EvaluationError(
                "invalid",
                f"the space has the hyperparameter '{name}', which the evaluator 'train' does not know; "
                f"it knows {', '.join(sorted(SEARCHABLE))}",
            )
        changes[name] = _typed(name, value)
    try:
        return attrs.evolve(config, **changes)
    except (TypeError, ValueError) as error:
        raise EvaluationError("invalid", f"a hyperparameter of the space is not allowed: {error.args[0]}") from error


def _typed(name: str, value: Any) -> Any:
    kind: Callable[[Any], bool] = _TYPES[name]
    if not kind(value):
        raise EvaluationError("invalid", f"the hyperparameter '{name}' cannot be {value!r}; {_WANTED[kind]}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_word(value: object) -> bool:
    return isinstance(value, str)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(SEARCHABLE, _is_number),
    **dict.fromkeys(("optimizer", "schedule", "augmentation"), _is_word),
    "batch_size": _is_whole,
}
_WANTED: Mapping[Callable[[Any], bool], str] = {
    _is_number: "it is a number",
    _is_whole: "it is a whole number",
    _is_word: "it is a word",
}


def _complaint(message: str) -> ConfigurationError:
    return ConfigurationError([Complaint("", message)])


component = kinds.evaluator(Config, Train)
