"""The evaluator `train` passes the suite that third parties use."""

import pytest

from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.space.language import chain, choice, op, real, space
from morphml_core.testing import EvaluatorSuite

pytest.importorskip("torch")


class TestTrain(EvaluatorSuite):
    @pytest.fixture
    def make(self):
        layers = [op("conv", channels=choice(4, 8)), "batch_norm", choice("relu", "gelu"), op("dropout", rate=0.1)]
        found = space(chain(*layers), hyperparameters={"learning_rate": real(0.003, 0.03, log=True)})
        options = {"dataset": "digits", "epochs": 2, "device": "cpu", "augmentation": "shift"}
        part = Loader().load(ComponentRef("evaluator", "train", options))
        return lambda: (part.create(found), found)
