"""Dataset `image_folder`: a folder of pictures for each class, read with Pillow.

Either `folder/CLASS/*.png`, split here, or `folder/train/CLASS/*`, and `valid` and `test` beside `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.dataset.checks import existing, fraction, refuse, shares
from morphml_core.graph.operations import Signature
from morphml_core.plugins import component as kinds
from morphml_core.protocols import Data, Split
from morphml_core.splits import cut

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))
"""Files with any other ending are passed over."""


@attrs.frozen
class Config:
    """Options of the dataset `image_folder`."""

    folder: Path
    """The folder that holds a folder for each class."""
    size: int = attrs.field(default=32, validator=attrs.validators.ge(1))
    """Height and width, in pixels, that every picture is resized to."""
    colour: Literal["rgb", "grey"] = "rgb"
    """Three channels, or one."""
    valid: float = attrs.field(default=0.15, validator=fraction)
    """Share of the training pictures to validate on, where there is no folder `valid`."""
    test: float = attrs.field(default=0.15, validator=fraction)
    """Share of the training pictures to test on, where there is no folder `test`."""
    seed: int = 0
    """Seed of the split."""

    def __attrs_post_init__(self) -> None:
        shares(self)


class ImageFolder:
    """Images (channels, size, size), uint8."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def signature(self) -> Signature:
        """Told by the options and the folder's names: no picture is read."""
        channels = 3 if self._config.colour == "rgb" else 1
        return Signature((channels, self._config.size, self._config.size), len(self._classes()))

    def load(self) -> Data:
        """All pictures, in the order of their names, resized (bilinear)."""
        config, classes = self._config, self._classes()
        given = {name: self._split(config.folder / name, classes) for name in ("valid", "test") if self._has(name)}
        held = [0.0 if name in given else getattr(config, name) for name in ("valid", "test")]
        valid, test, train = cut(self._split(self._root(), classes), held, config.seed)
        return Data(
            train,
            given.get("valid", valid if len(valid) else None),
            given.get("test", test if len(test) else None),
            self.signature,
            classes=tuple(classes),
        )

    def _has(self, name: str) -> bool:
        return (self._config.folder / "train").is_dir() and (self._config.folder / name).is_dir()

    def _root(self) -> Path:
        folder = existing(self._config.folder, "the folder", "name a folder of pictures in the option 'folder'")
        return folder / "train" if (folder / "train").is_dir() else folder

    def _classes(self) -> list[str]:
        root = self._root()
        found = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        if len(found) < 2:
            raise refuse(
                f"{root} has {len(found)} folders of pictures; needed is one for each class, and at least two classes"
            )
        return found

    def _split(self, root: Path, classes: Sequence[str]) -> Split:
        paths, targets = [], []
        for label, name in enumerate(classes):
            found = sorted(path for path in (root / name).glob("**/*") if path.suffix.lower() in SUFFIXES)
            if not found:
                raise refuse(
                    f"{root / name} has no pictures; known are files that end in {', '.join(sorted(SUFFIXES))}"
                )
            paths += found
            targets += [label] * len(found)
        return Split(self._read(paths), np.array(targets, dtype=np.int64))

    def _read(self, paths: Sequence[Path]) -> NDArray[np.uint8]:
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError:
            raise refuse(
                "the dataset 'image_folder' needs Pillow, which is not installed; pip install 'morphml-core[torch]'"
            ) from None
        config = self._config
        mode, channels = ("RGB", 3) if config.colour == "rgb" else ("L", 1)
        images = np.empty((len(paths), channels, config.size, config.size), dtype=np.uint8)
        for place, path in enumerate(paths):
            try:
                with Image.open(path) as image:
                    small = image.convert(mode).resize((config.size, config.size), Image.Resampling.BILINEAR)
            except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
                raise refuse(f"{path} cannot be read as a picture: {error}") from error
            images[place] = np.asarray(small).reshape(config.size, config.size, channels).transpose(2, 0, 1)
        return images


component = kinds.dataset(Config, ImageFolder)
