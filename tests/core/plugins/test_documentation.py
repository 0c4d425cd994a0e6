"""The code of docs/plugins.md runs, and each of its components keeps what its kind promises."""

import re
import sys
from pathlib import Path

import pytest

from morphml_core import testing
from morphml_core.graph.operations import Signature
from morphml_core.plugins.catalogue import Catalogue
from morphml_core.plugins.component import KINDS, ComponentRef
from morphml_core.plugins.hooks import Context, Hooks
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Objective, Problem, Trial
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Real
from morphml_core.space.space import SearchSpace

PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"
CODE = dict(
    re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
)
KIND_OF = {
    "climb": "optimizer", "noisy": "evaluator", "towers": "space", "smooth": "operations", "moons": "dataset", "quadratic": "evaluator",
    "patience": "stopper", "neighbours": "predictor", "polite": "executor", "fifo": "scheduler", "lines": "storage", "shelf": "artifacts",
    "files": "cache", "logbook": "hook",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the page, where they can be imported."""
    folder = tmp_path_factory.mktemp("page")
    for name, code in CODE.items():
        (folder / f"docs_{name}.py").write_text(code)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in CODE:
        sys.modules.pop(f"docs_{name}", None)


@pytest.fixture
def loaded(folder):
    """A function from a name of the page, and options, to the loaded part."""
    loader = Loader(Catalogue(), folder)

    def load(name, **options):
        attribute = "plugin" if KIND_OF[name] == "hook" else "component"
        return loader.load(ComponentRef(KIND_OF[name], "python", {"python": f"docs_{name}:{attribute}", **options}))

    return load


def numbers():
    return SearchSpace(DecisionSpace([Decision("x", Real(0, 1)), Decision("y", Real(0, 1))]), None, None)


def test_there_is_a_piece_of_code_for_each_kind():
    assert set(CODE) == set(KIND_OF)
    assert {*KINDS, "hook"} == set(KIND_OF.values())


class TestClimb(testing.OptimizerSuite):
    @pytest.fixture
    def make(self, loaded):
        return lambda problem: loaded("climb").create(problem)


class TestTowers(testing.SpaceSuite):
    signature = Signature((10,), 3)

    @pytest.fixture
    def make(self, loaded):
        return lambda: loaded("towers").create()


class TestSmooth(testing.OperationsSuite):
    @pytest.fixture
    def make(self, loaded):
        return loaded("smooth").create()


class TestMoons(testing.DatasetSuite):
    @pytest.fixture
    def make(self, loaded):
        return lambda: loaded("moons").create()


class TestQuadratic(testing.EvaluatorSuite):
    @pytest.fixture
    def make(self, loaded):
        return lambda: (loaded("quadratic").create(numbers()), numbers())


class TestNoisy(testing.EvaluatorSuite):
    @pytest.fixture
    def make(self, loaded):
        inner = {"python": "docs_quadratic:component", "epochs": 2}
        return lambda: (loaded("noisy", inner=inner, noise=0.5).create(numbers()), numbers())


class TestPatience(testing.StopperSuite):
    ready = None  # it knows one trial only

    @pytest.fixture
    def make(self, loaded):
        return lambda problem: loaded("patience").create(problem)


def test_patience_ends(loaded):
    problem = Problem(numbers(), [Objective("score")])
    stopper = loaded("patience", steps=2).create(problem)
    verdicts = []
    for count in range(1, 5):
        curve = tuple((step, {"score": min(step, 2.0)}) for step in range(1, count + 1))
        verdicts.append(stopper.verdict(Trial(0, Genotype((0.5, 0.5)), curve=curve)))
    assert verdicts == [None, None, None, "no better for 2 steps"]


class TestNeighbours(testing.PredictorSuite):
    @pytest.fixture
    def make(self, loaded):
        return lambda problem: loaded("neighbours").create(problem)


class TestPolite(testing.ExecutorSuite):
    @pytest.fixture
    def make(self, loaded):
        return lambda workload: loaded("polite", pause="1ms").create(workload)


class TestFifo(testing.SchedulerSuite):
    @pytest.fixture
    def make(self, loaded):
        return lambda: loaded("fifo").create()


class TestLines(testing.StorageSuite):
    @pytest.fixture
    def make(self, loaded, tmp_path):
        return lambda experiment: loaded("lines", folder=str(tmp_path)).create(experiment)


class TestShelf(testing.ArtifactsSuite):
    @pytest.fixture
    def make(self, loaded, tmp_path):
        return lambda: loaded("shelf", folder=str(tmp_path / "shelf")).create("digits")


class TestFiles(testing.CacheSuite):
    @pytest.fixture
    def make(self, loaded, tmp_path):
        return lambda: loaded("files", folder=str(tmp_path)).create()


def test_the_logbook(loaded, tmp_path):
    from morphml_core.experiment.events import Finished

    class State:
        trials = {3: Trial(3, Genotype((1,)), metrics={"accuracy": 0.5})}  # noqa: RUF012

    path = tmp_path / "book.txt"
    hooks = Hooks.create([loaded("logbook", path=str(path))], Context("digits"))
    hooks.notify(Finished(3, {"accuracy": 0.5}, 0.0), State())
    hooks.close()
    assert path.read_text() == "digits 3 {'accuracy': 0.5}\n"
