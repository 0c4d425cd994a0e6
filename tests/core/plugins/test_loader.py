import importlib.metadata

import attrs
import pytest

from morphml_core.errors import (
    BrokenComponentError,
    Complaint,
    ConfigurationError,
    DuplicateComponentError,
    IncompatibleComponentError,
    MissingComponentError,
)
from morphml_core.plugins.catalogue import Catalogue
from morphml_core.plugins.component import ComponentRef, Part, cache, dataset, evaluator, optimizer, part, stopper
from morphml_core.plugins.hookspecs import hookimpl
from morphml_core.plugins.loader import Loader
from morphml_core.plugins.refs import Located


def loader(site):
    return Loader(Catalogue.installed(site.path))


def refused(kind, run):
    with pytest.raises(kind) as found:
        run()
    assert type(found.value) is kind
    return str(found.value)


def test_only_the_chosen_one_is_imported(site):
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component", "broken = broken:component"]})
    site.module("broken", "raise RuntimeError('imported')")
    part = loader(site).load(ComponentRef("optimizer", "climb", {"steps": 7}))
    assert part.config.steps == 7
    made = part.create("a problem")
    assert (type(made).__name__, made.config, made.problem) == ("HillClimb", part.config, "a problem")


def test_a_real_component_loads():
    assert Loader().component("optimizer", "random").kind == "optimizer"


# names ------------------------------------------------------------------------------------------------


def test_duplicate_names(site):
    site.install("one", {"morphml.optimizer": ["climb = climb:component"]})
    site.install("two", {"morphml.optimizer": ["climb = climb:component"]})
    assert refused(DuplicateComponentError, lambda: loader(site).component("optimizer", "climb")) == (
        "optimizer 'climb' is registered by one and by two; write 'one:climb' or 'two:climb' to choose"
    )
    assert loader(site).component("optimizer", "two:climb").kind == "optimizer"


def test_a_name_twice_in_one_distribution(site):
    site.install("one", {"morphml.optimizer": ["climb = climb:component", "climb = climb:other"]})
    assert refused(DuplicateComponentError, lambda: loader(site).component("optimizer", "climb")) == (
        "one registers optimizer 'climb' more than once, as climb:component and climb:other; it must rename one of them"
    )


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("optimizer", "randm", "there is no optimizer 'randm'; did you mean 'random'?"),
        ("optimizer", "zzz", "there is no optimizer 'zzz'; there are climb, random"),
        ("predictor", "zzz", "there is no predictor 'zzz'; none is installed"),
        (
            "optimizer",
            "local_search",
            (
                "there is no optimizer 'local_search' here: it is part of morphml-optimizers, which is not installed; "
                "pip install morphml-optimizers"
            ),
        ),
        (
            "optimizer",
            "regularised_evolution",
            "there is no optimizer 'regularised_evolution'; did you mean 'regularized_evolution'? (pip install morphml-optimizers)",
        ),
        ("optimizer", "my-climb:clim", "my-climb has no optimizer 'clim'; it has climb"),
        ("space", "my-climb:climb", "my-climb has no space 'climb', nor any other space"),
        (
            "optimizer",
            "absent:climb",
            "there is no optimizer 'climb' of absent: absent is not installed; pip install absent",
        ),
    ],
)
def test_a_missing_name(site, kind, name, message):
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component"]})
    assert refused(MissingComponentError, lambda: loader(site).component(kind, name)) == message


def test_a_name_that_an_installed_distribution_of_ours_should_have(site):
    site.install("morphml-optimizers", {"morphml.optimizer": ["regularized_evolution = climb:component"]}, "0.0.1")
    assert refused(MissingComponentError, lambda: loader(site).component("optimizer", "local_search")) == (
        "there is no optimizer 'local_search': morphml-optimizers 0.0.1 is installed, but does not register it; "
        "pip install --upgrade --force-reinstall morphml-optimizers"
    )


# what is imported -------------------------------------------------------------------------------------


def test_a_distribution_that_needs_another_core(site):
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component"]}, "1.2", ["morphml-core<0.1,>=0.0.1"])
    assert refused(IncompatibleComponentError, lambda: loader(site).component("optimizer", "climb")) == (
        "optimizer 'climb' cannot be used: my-climb 1.2 needs morphml-core<0.1,>=0.0.1, but 0.1.0 is installed; "
        "pip install --upgrade my-climb morphml-core"
    )


@pytest.mark.parametrize(
    "need", ["morphml-core>=0.1", "Morphml.Core==0.1.*", "morphml-core>9; python_version < '3'", "?!"]
)
def test_requirements_that_hold_or_say_nothing(site, need):
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component"]}, requires=[need])
    assert loader(site).component("optimizer", "climb").kind == "optimizer"


BROKEN = "optimizer 'bad' (bad:component of my-bad 1.0) "


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no luck')", "cannot be imported: RuntimeError: no luck"),
        ("raise AssertionError('not so')", "cannot be imported: AssertionError: not so"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("x = 1", "cannot be imported: AttributeError: module 'bad' has no attribute 'component'"),
        (
            "import morphml_absent.inner",
            "cannot be imported: ModuleNotFoundError: No module named 'morphml_absent'; install what provides 'morphml_absent'",
        ),
        (
            "raise ModuleNotFoundError(\"No module named 'sklearn'\", name='sklearn')",
            "cannot be imported: ModuleNotFoundError: No module named 'sklearn'; pip install 'my-bad[learn]'",
        ),
        (
            "component = 5",
            "is 5 (a whole number), not a component; make one with the helper 'optimizer' of morphml_core.plugins.component",
        ),
        (
            "from morphml_core.plugins.component import Component\ncomponent = Component('stopper', dict, dict)",
            (
                "is a component of kind 'stopper', where an optimizer is needed; "
                "make it with the helper 'optimizer' of morphml_core.plugins.component"
            ),
        ),
    ],
)
def test_what_cannot_be_used(site, code, message):
    needs = ["numpy; extra == 'fast'", "scikit-learn>=1; extra == 'learn'"]
    site.install("my-bad", {"morphml.optimizer": ["bad = bad:component"]}, requires=needs)
    site.module("bad", code)
    assert refused(BrokenComponentError, lambda: loader(site).component("optimizer", "bad")) == BROKEN + message


def test_metadata_without_its_code(site):
    site.install("my-bad", {"morphml.optimizer": ["bad = absent_bad.inner:component"]})
    assert refused(BrokenComponentError, lambda: loader(site).component("optimizer", "bad")) == (
        "optimizer 'bad' (absent_bad.inner:component of my-bad 1.0) cannot be imported: ModuleNotFoundError: "
        "No module named 'absent_bad'; its metadata is not that of its code: install my-bad again"
    )


def test_the_extras_of_the_core_are_known():
    needs = importlib.metadata.requires("morphml-core")
    from morphml_core.plugins.loader import _extra_with

    assert _extra_with("torch", needs) == "torch"
    assert _extra_with("scikit-learn", needs) == "datasets"
    assert _extra_with("numpy", needs) is None


# options ----------------------------------------------------------------------------------------------


@attrs.frozen
class Data:
    fraction: float = attrs.field(default=1.0, validator=attrs.validators.ge(0.0))


@attrs.frozen
class Config:
    data: Part = part("dataset")
    memory: Part | None = part("cache", optional=True)
    stop: Part = part("stopper", "never")
    many: "tuple[Part, ...]" = part("dataset", factory=tuple)
    epochs: int = 3


@attrs.frozen
class Empty:
    """No options."""


def nested():
    made = Loader(Catalogue())
    made.registry.add("evaluator", "train", evaluator(Config, lambda config, space: config))
    made.registry.add("dataset", "digits", dataset(Data, lambda config: config))
    made.registry.add("cache", "memory", cache(Empty, lambda config: config))
    made.registry.add("stopper", "never", stopper(Empty, lambda config, problem: config))
    return made


def test_parts_within_parts():
    found = nested().load(
        ComponentRef("evaluator", "train", {"data": {"name": "digits", "fraction": 1}, "many": ["digits"]})
    )
    assert found.config.data.config == Data(1.0)
    assert found.config.memory is None
    assert found.config.stop.ref.name == "never"
    assert [inner.ref.name for inner in found.config.many] == ["digits"]
    assert found.config.data.create() == Data(1.0)


def test_every_complaint_of_every_depth_with_its_place():
    options = {
        "data": {"name": "digits", "fractoin": 0.5, "fraction": -1},
        "memory": "memry",
        "many": ["digits", {"name": "digits", "fraction": "all"}, 7],
        "epochs": "three",
        "seed": 1,
    }
    places = {
        (): "a.yaml:1", ("data",): "a.yaml:2", ("data", "fractoin"): "a.yaml:3", ("data", "fraction"): "a.yaml:4",
        ("memory",): "a.yaml:5", ("many", 1): "a.yaml:6", ("many", 1, "fraction"): "a.yaml:7", ("many", 2): "a.yaml:8",
        ("epochs",): "a.yaml:9", ("seed",): "a.yaml:10",
    }  # fmt: skip
    with pytest.raises(ConfigurationError) as found:
        nested().load(ComponentRef("evaluator", "train", Located(options, places), "a.yaml:1"))
    assert [str(complaint) for complaint in found.value.complaints] == [
        "a.yaml:10: evaluator 'train' has no option 'seed'; it has data, memory, stop, many, epochs",
        "a.yaml:3: dataset 'digits' has no option 'fractoin'; did you mean 'fraction'?",
        "a.yaml:4: dataset 'digits': 'fraction' must be >= 0.0: -1.0",
        "a.yaml:5: there is no cache 'memry'; did you mean 'memory'?",
        "a.yaml:7: dataset 'digits': 'fraction' must be a number, but it is 'all' (a string)",
        "a.yaml:8: evaluator 'train': 'many[2]' must be the name of a dataset, or a mapping with 'name', but it is 7 (a whole number)",
        "a.yaml:9: evaluator 'train': 'epochs' must be a whole number, but it is 'three' (a string)",
    ]


def test_a_missing_part():
    with pytest.raises(ConfigurationError) as found:
        nested().load(ComponentRef("evaluator", "train", {}, "a.yaml:1"))
    assert found.value.complaints == (Complaint("a.yaml:1", "evaluator 'train' needs the option 'data' (a dataset)"),)


def test_a_part_passes_through():
    made = nested().load(ComponentRef("dataset", "digits"))
    found = nested().load(ComponentRef("evaluator", "train", {"data": made}))
    assert found.config.data is made


def test_relative_paths_of_data_are_below_the_folder(tmp_path):
    from pathlib import Path

    @attrs.frozen
    class Files:
        path: Path
        script: str = attrs.field(default="", metadata={"morphml.reference": True})

    made = Loader(Catalogue(), tmp_path)
    made.registry.add("dataset", "files", dataset(Files, lambda config: config))
    made.registry.add("cache", "files", cache(Files, lambda config: config))
    options = {"path": "a.csv", "script": "b.py:name"}
    assert made.load(ComponentRef("dataset", "files", options)).config == Files(
        tmp_path / "a.csv", f"{tmp_path}/b.py:name"
    )
    assert made.load(ComponentRef("cache", "files", options)).config == Files(Path("a.csv"), "b.py:name")


# this process -----------------------------------------------------------------------------------------


class Notebook:
    @hookimpl
    def morphml_components(self, registry):
        registry.add("optimizer", "mine", optimizer(Empty, lambda config, problem: config))


def test_components_of_this_process():
    made = Loader(Catalogue())
    made.register(Notebook())
    assert made.load(ComponentRef("optimizer", "mine")).create(None) == Empty()
    assert refused(MissingComponentError, lambda: made.component("optimizer", "min")) == (
        "there is no optimizer 'min'; did you mean 'mine'?"
    )


def test_what_the_registry_refuses(site):
    registry = loader(site).registry
    mine = optimizer(Empty, lambda config, problem: config)
    registry.add("optimizer", "mine", mine)
    registry.add("optimizer", "mine", mine)
    other = optimizer(Empty, lambda config, problem: config)
    assert refused(DuplicateComponentError, lambda: registry.add("optimizer", "mine", other)) == (
        "optimizer 'mine' is registered already in this process; choose another name"
    )
    assert refused(DuplicateComponentError, lambda: registry.add("optimizer", "random", other)) == (
        "optimizer 'random' is registered already by morphml-core; choose another name"
    )
    assert refused(BrokenComponentError, lambda: registry.add("optimiser", "x", other)) == (
        "there is no kind 'optimiser'; did you mean 'optimizer'?"
    )
    assert refused(BrokenComponentError, lambda: registry.add("optimizer", "x", Empty)) == (
        "optimizer 'x' is a type, not a component; make one with the helper 'optimizer' of morphml_core.plugins.component"
    )
