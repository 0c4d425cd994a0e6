"""Dataset `digits`: 1,797 handwritten digits, 8x8 pixels, that come with scikit-learn (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import attrs
import numpy as np

from morphml_core.dataset.checks import fraction, refuse, shares
from morphml_core.graph.operations import Signature
from morphml_core.plugins import component as kinds
from morphml_core.protocols import Data, Split
from morphml_core.splits import three_way


@attrs.frozen
class Config:
    """Options of the dataset `digits`."""

    valid: float = attrs.field(default=0.2, validator=fraction)
    """Share of the samples to validate on, which guides the search."""
    test: float = attrs.field(default=0.2, validator=fraction)
    """Share of the samples to test on, which the search never sees."""
    seed: int = 0
    """Seed of the split."""

    def __attrs_post_init__(self) -> None:
        shares(self)


class Digits:
    """Images (1, 8, 8), uint8, ten classes."""

    signature = Signature((1, 8, 8), 10)

    def __init__(self, config: Config) -> None:
        self._config = config

    def load(self) -> Data:
        """The images, their 17 grey levels stretched to 0 to 255, in a stratified split."""
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise refuse(
                "the dataset 'digits' needs scikit-learn, which is not installed; pip install 'morphml-core[datasets]'"
            ) from None
        images, targets = load_digits(return_X_y=True)
        pixels = np.rint(images.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
        config = self._config
        names = [str(digit) for digit in range(10)]
        return three_way(Split(pixels, targets.astype(np.int64)), config.valid, config.test, config.seed, 10, names)


component = kinds.dataset(Config, Digits)
