"""Dataset `npz`: arrays by name from a file that `numpy.savez` wrote."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.dataset.checks import encode, existing, fraction, refuse, shares, sound
from morphml_core.graph.operations import Signature
from morphml_core.plugins import component as kinds
from morphml_core.protocols import Data, Split
from morphml_core.splits import cut


@attrs.frozen
class Config:
    """Options of the dataset `npz`."""

    path: Path
    """The .npz file."""
    inputs: str = "x"
    """Name of the array of training inputs: (samples, ...), uint8 images or numbers."""
    targets: str = "y"
    """Name of the array of training targets: (samples,) classes, or numbers for regression."""
    valid_inputs: str | None = None
    """Name of the validation inputs; without it a share `valid` of the training samples is held out."""
    valid_targets: str | None = None
    """Name of the validation targets."""
    test_inputs: str | None = None
    """Name of the test inputs; without it a share `test` of the training samples is held out."""
    test_targets: str | None = None
    """Name of the test targets."""
    layout: Literal["stored", "hw", "hwc"] = "stored"
    """How a sample lies: `stored` takes it as it is ((channels, height, width), (features,) ...), `hw` adds a channel to grey
    images, `hwc` moves the channels to the front."""
    regression: bool | None = None
    """Whether the targets are numbers to predict; by default they are where they are not whole numbers or strings."""
    valid: float = attrs.field(default=0.15, validator=fraction)
    """Share of the training samples to validate on, where no arrays are named."""
    test: float = attrs.field(default=0.15, validator=fraction)
    """Share of the training samples to test on, where no arrays are named."""
    seed: int = 0
    """Seed of the split."""

    def __attrs_post_init__(self) -> None:
        shares(self)
        for name in ("valid", "test"):
            if (getattr(self, f"{name}_inputs") is None) != (getattr(self, f"{name}_targets") is None):
                raise ValueError(f"{name}_inputs and {name}_targets go together, but only one of them is given")


class Npz:
    """The arrays of one .npz file."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def load(self) -> Data:
        """The arrays, checked, the classes numbered from 0 in sorted order."""
        config = self._config
        arrays = self._arrays()
        raw = arrays[config.targets]
        regression = raw.dtype.kind == "f" if config.regression is None else config.regression
        classes: tuple[Any, ...] = () if regression else tuple(np.unique(raw).tolist())
        pairs = {
            "train": (config.inputs, config.targets),
            "valid": (config.valid_inputs, config.valid_targets),
            "test": (config.test_inputs, config.test_targets),
        }
        splits = {
            name: self._split(arrays[inputs], arrays[targets], classes, f"{inputs} and {targets} in {config.path}")
            for name, (inputs, targets) in pairs.items()
            if inputs is not None and targets is not None
        }
        return self._data(splits, classes, regression)

    def _data(self, splits: dict[str, Split], classes: tuple[Any, ...], regression: bool) -> Data:
        config, train = self._config, splits["train"]
        for name, split in splits.items():
            if split.inputs.shape[1:] != train.inputs.shape[1:]:
                raise refuse(
                    f"the {name} inputs in {config.path} have the shape {split.inputs.shape[1:]}, but the training inputs "
                    f"{train.inputs.shape[1:]}; they must be equal"
                )
        held = [0.0 if name in splits else getattr(config, name) for name in ("valid", "test")]
        valid, test, rest = cut(train, held, config.seed)
        outputs = train.targets.shape[1] if regression else len(classes)
        return Data(
            rest,
            splits.get("valid", valid if len(valid) else None),
            splits.get("test", test if len(test) else None),
            Signature(train.inputs.shape[1:], outputs),
            regression,
            tuple(str(name) for name in classes),
        )

    def _split(self, inputs: NDArray[Any], targets: NDArray[Any], classes: tuple[Any, ...], where: str) -> Split:
        if classes:
            targets = encode(targets.reshape(len(targets)) if targets.size == len(targets) else targets, classes, where)
            if targets.ndim != 1:
                raise refuse(f"{where}: the targets have the shape {targets.shape}; classes need (samples,)")
        elif targets.dtype.kind in "biu":
            targets = targets.astype(np.float32)
        return sound(self._laid(inputs, where), targets, where)

    def _laid(self, inputs: NDArray[Any], where: str) -> NDArray[Any]:
        layout = self._config.layout
        if layout == "stored":
            return inputs
        if inputs.ndim != len(layout) + 1:
            raise refuse(
                f"{where}: the inputs have the shape {inputs.shape}; the layout '{layout}' needs {len(layout) + 1} axes"
            )
        return inputs[:, None] if layout == "hw" else np.moveaxis(inputs, -1, 1)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        config = self._config
        wanted = [
            config.inputs, config.targets, config.valid_inputs, config.valid_targets, config.test_inputs, config.test_targets,
        ]  # fmt: skip
        existing(config.path, "the file", "name an .npz file in the option 'path'")
        if config.path.is_file() and not zipfile.is_zipfile(config.path):
            raise refuse(f"{config.path} is no .npz file; write one with numpy.savez(path, x=..., y=...)")
        try:
            with np.load(config.path, allow_pickle=False) as file:
                missing = [name for name in wanted if name is not None and name not in file.files]
                if missing:
                    raise refuse(f"{config.path} has no array '{missing[0]}'; it has {', '.join(sorted(file.files))}")
                return {name: file[name] for name in wanted if name is not None}
        except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
            raise refuse(f"{config.path} cannot be read as .npz: {error}") from error


component = kinds.dataset(Config, Npz)
