"""Dataset `fashion_mnist`: 70,000 pictures of clothes, 28x28 pixels, ten classes (Xiao, Rasul and Vollgraf, 2017).

Reads the four IDX files, compressed or not, from a folder.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.dataset.checks import fraction, refuse, sound
from morphml_core.graph.operations import Signature
from morphml_core.plugins import component as kinds
from morphml_core.protocols import Data, Split
from morphml_core.splits import cut

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@attrs.frozen
class Config:
    """Options of the dataset `fashion_mnist`."""

    folder: Path = DEBIAN
    """Folder of the four files, such as `train-images-idx3-ubyte` or `train-images-idx3-ubyte.gz`."""
    valid: float = attrs.field(default=1 / 6, validator=fraction)
    """Share of the 60,000 training images to validate on, which guides the search."""
    seed: int = 0
    """Seed of the split."""


class FashionMnist:
    """Images (1, 28, 28), uint8, ten classes; the published test set of 10,000 is the test split."""

    signature = Signature((1, 28, 28), 10)

    def __init__(self, config: Config) -> None:
        self._config = config

    def check_data(self) -> None:
        """Whether the four files are there."""
        for name in ("train", "t10k"):
            self._path(f"{name}-images-idx3-ubyte")
            self._path(f"{name}-labels-idx1-ubyte")

    def load(self) -> Data:
        """The images; the training set in a stratified split."""
        whole, test = self._split("train"), self._split("t10k")
        valid, train = cut(whole, (self._config.valid,), self._config.seed)
        return Data(train, valid if len(valid) else None, test, self.signature, classes=CLASSES)

    def _split(self, name: str) -> Split:
        images = read_idx(self._path(f"{name}-images-idx3-ubyte"))
        labels = read_idx(self._path(f"{name}-labels-idx1-ubyte"))
        if images.shape[1:] != (28, 28) or labels.ndim != 1 or labels.max(initial=0) > 9:
            raise refuse(
                f"the files {name}-* in {self._config.folder} hold images of shape {images.shape[1:]} and labels up to "
                f"{labels.max(initial=0)}; Fashion-MNIST has (28, 28) and 9"
            )
        return sound(images[:, None], labels, f"{name}-* in {self._config.folder}")

    def _path(self, name: str) -> Path:
        for path in (self._config.folder / name, self._config.folder / f"{name}.gz"):
            if path.is_file():
                return path
        raise refuse(
            f"Fashion-MNIST is not in {self._config.folder}: {name} (or {name}.gz) is missing; install Debian's package "
            "dataset-fashion-mnist, or take the four files from https://github.com/zalandoresearch/fashion-mnist and "
            "name their folder in the option 'folder'"
        )


def read_idx(path: Path) -> NDArray[Any]:
    """The array of unsigned bytes in an IDX file: two zero bytes, the type 8, the number of axes, their sizes, the bytes."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not begin with the bytes 0, 0, 8")
        axes = content[3]
        shape = np.frombuffer(content, dtype=">u4", count=axes, offset=4)
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(tuple(shape.tolist()))
    except (ValueError, IndexError, EOFError, OSError, zlib.error) as error:
        raise refuse(f"{path} is not a whole IDX file of bytes: {error}; fetch it again") from error


component = kinds.dataset(Config, FashionMnist)
