"""Every built-in space keeps the promises of `SpaceSuite`."""

import pytest

from morphml_core.graph.operations import Signature
from morphml_core.space import cnn, darts, language, mlp, nasbench101, nasbench201, nasbench_macro, parameters
from morphml_core.testing import SpaceSuite


class TestParameters(SpaceSuite):
    @pytest.fixture
    def make(self):
        decisions = {
            "x": {"real": [-1, 1]},
            "rate": {"real": [1e-5, 1.0], "log": True},
            "kind": {"choice": ["a", "b", "c"]},
            "steps": {"integer": [1, 1000], "log": True, "when": {"kind": ["a", "b"]}},
            "depth": {"integer": [1, 5], "when": {"kind": "c"}},
            "parts": {"subset": ["p", "q", "r"], "minimum": 1},
            "size": {"real": [0, 1], "when": {"parts": ["q"]}},
            "fixed": {"choice": [3]},
        }
        return lambda: parameters.create(parameters.Config(decisions))


class TestLanguage(SpaceSuite):
    @pytest.fixture
    def make(self):
        from morphml_core.space.language import (
            branch,
            cell,
            chain,
            choice,
            integer,
            op,
            optional,
            real,
            repeat,
            residual,
        )

        block = residual([op("conv", channels=choice(8, 16)), "batch_norm", choice("relu", "gelu")])
        network = chain(
            op("conv", channels=16, kernel=choice(3, 5), name="stem"),
            repeat(block, integer(0, 3), name="stage"),
            repeat([optional(block)], choice(1, 2), share=True, name="shared"),
            branch([], op("conv", channels=8), "max_pool", minimum=1, merge="concat"),
            cell(3, ["identity", op("conv", channels=16), choice(op("max_pool"), chain("avg_pool", "relu"))]),
            optional(op("dropout", rate=real(0.1, 0.5))),
        )
        return lambda: language.space(network, {"learning_rate": real(1e-4, 1e-1, log=True), "epochs": 3})


class TestCnn(SpaceSuite):
    signature = Signature((1, 8, 8), 10)

    @pytest.fixture
    def make(self):
        hyperparameters = {"learning_rate": {"real": [1e-3, 1e-1], "log": True}}
        return lambda: cnn.create(cnn.Config(hyperparameters=hyperparameters))


class TestMlp(SpaceSuite):
    signature = Signature((12,), 3)

    @pytest.fixture
    def make(self):
        return lambda: mlp.create(mlp.Config())


class TestNasbench201(SpaceSuite):
    @pytest.fixture
    def make(self):
        return lambda: nasbench201.create(nasbench201.Config(cells=1))


class TestNasbench101(SpaceSuite):
    @pytest.fixture
    def make(self):
        return lambda: nasbench101.create(nasbench101.Config(cells=1))


class TestNasbenchMacro(SpaceSuite):
    @pytest.fixture
    def make(self):
        return lambda: nasbench_macro.create(nasbench_macro.Config())


class TestDarts(SpaceSuite):
    samples = 5

    @pytest.fixture
    def make(self):
        return lambda: darts.create(darts.Config(channels=8, cells=4))


class TestDartsWithNone(SpaceSuite):
    samples = 5

    @pytest.fixture
    def make(self):
        return lambda: darts.create(darts.Config(channels=8, cells=3, none=True))
