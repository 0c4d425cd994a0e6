import json

import pytest

from morphml_core.config import from_mapping, read_configuration, resolve, resolve_file, resolve_mapping
from morphml_core.errors import ConfigurationError
from morphml_core.plugins.catalogue import Catalogue, Default
from morphml_core.plugins.loader import Loader

MINE = """\
class Space:
    decisions = ()
    operations = None
    def express(self, genotype):
        return None

def space():
    return Space()

def broken():
    raise RuntimeError("no luck")

def accuracy(candidate):
    return 1.0
"""

GOOD = """\
experiment: a
objectives: accuracy
space:
  name: parameters
  decisions:
    x: {real: [0, 1]}
evaluator: {name: function, function: "mine.py:accuracy"}
storage: memory
hooks: []
stop: {trials: 5}
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)

    def write(text):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        return path

    return write


def installed(folder, *defaults):
    """What core registers, and these offers of a default."""
    own = [entry for entry in Catalogue.installed() if entry.distribution == "morphml-core"]
    return Loader(Catalogue(own, (), defaults), folder)


def test_every_section_becomes_a_part(write, tmp_path):
    found = resolve(read_configuration(write(GOOD)), installed(tmp_path))
    assert [(section, part.ref.name) for section, part in found.parts()] == [
        ("space", "parameters"), ("evaluator", "function"), ("optimizer", "random"), ("executor", "inline"), ("storage", "memory"),
        ("artifacts", "local"),
    ]  # fmt: skip
    assert found.evaluator.config.function(None) == 1.0
    assert (found.stopper, found.cache, found.hooks) == (None, None, ())


def test_the_default_optimizer_is_what_a_distribution_offers_and_its_name_is_recorded(write, tmp_path):
    read = read_configuration(write(GOOD))
    found = resolve(read, installed(tmp_path, Default("optimizer", "morphml-core", "random")))
    assert found.configuration.optimizer.name == found.configuration.to_json()["optimizer"]["name"] == "random"
    with pytest.raises(ConfigurationError) as caught:
        resolve(read, installed(tmp_path, Default("optimizer", "a", "one"), Default("optimizer", "b", "two")))
    assert str(caught.value).endswith(
        "there is no one default for optimizer: a offers 'one' and b offers 'two'; "
        "name one in the section 'optimizer' of the configuration"
    )


def test_an_object_of_mine(write):
    text = GOOD.replace("name: parameters", "python: mine.py:space").replace(
        "  decisions:\n    x: {real: [0, 1]}\n", ""
    )
    assert type(resolve(read_configuration(write(text))).space.create()).__name__ == "Space"


def test_everything_that_is_wrong_in_every_section(write):
    path = write("""\
experiment: a
objectives: accuracy
space:
  name: parameters
  decisions:
    x: {real: [1, 0]}
    y: {choice: []}
evaluator:
  name: function
  function: mine.py:absent
optimizer: randm
executor: {name: inline, workers: 2}
storage: memory
cache: {name: memory, sise: 2}
hooks: [progres]
stop: {trials: 5}
""")
    with pytest.raises(ConfigurationError) as found:
        resolve(read_configuration(path))
    assert [str(complaint).removeprefix(f"{path}:") for complaint in found.value.complaints] == [
        "6: space 'parameters': decisions.x: a real needs low <= high, but got 1.0 and 0.0",
        "7: space 'parameters': decisions.y: a choice has no values; give it at least one",
        (
            f"10: evaluator 'function': 'function' does not fit: '{path.parent}/mine.py:absent' cannot be imported: "
            f"{path.parent}/mine.py has no 'absent'; there are Space, accuracy, broken, space"
        ),
        "11: there is no optimizer 'randm'; did you mean 'random'?",
        "12: executor 'inline' has no option 'workers'; it takes none",
        "14: cache 'memory' has no option 'sise'; did you mean 'size'?",
        "15: there is no hook 'progres'; did you mean 'progress'?",
    ]


def test_a_space_of_mine_that_raises():
    def broken():
        raise RuntimeError("no luck")

    mapping = {
        "experiment": "a",
        "objectives": "b",
        "evaluator": {"name": "function", "function": len},
        "stop": {"trials": 1},
    }
    with pytest.raises(ConfigurationError) as found:
        resolve(from_mapping(mapping | {"space": broken, "storage": "memory", "hooks": []}))
    assert str(found.value) == "space: space given as an object cannot be built: RuntimeError: no luck"


def test_both_stages_complain_together(write):
    path = write(
        GOOD.replace("hooks: []", "hooks: [progres, 5]")
        .replace("storage: memory", "storige: memory")
        .replace("real: [0, 1]", "real: [1, 0]")
    )
    with pytest.raises(ConfigurationError) as found:
        resolve_file(path, ["stop.trials=many"])
    assert [str(complaint).removeprefix(f"{path}:") for complaint in found.value.complaints] == [
        "6: space 'parameters': decisions.x: a real needs low <= high, but got 1.0 and 0.0",
        "8: there is no section 'storige'; did you mean 'storage'?",
        "9: section 'hooks' must be the name of a hook, or a mapping with 'name', but it is 5 (a whole number)",
        "9: there is no hook 'progres'; did you mean 'progress'?",
        "--set stop.trials=many: section 'stop': 'trials' must be a whole number, but it is 'many' (a string)",
    ]


def test_a_mapping_in_one_go(write):
    path = write(GOOD)
    mapping = resolve_file(path).configuration.to_json()
    assert resolve_mapping(mapping, folder=path.parent).configuration.to_json() == mapping
    with pytest.raises(ConfigurationError) as found:
        resolve_mapping(mapping | {"seed": "x", "optimizer": "randm"}, folder=path.parent)
    assert str(found.value).splitlines() == [
        "seed: section 'seed' must be a whole number, but it is 'x' (a string)",
        "optimizer: there is no optimizer 'randm'; did you mean 'random'?",
    ]


def test_another_process_can_build_it_from_json(write):
    path = write(GOOD.replace(
        'evaluator: {name: function, function: "mine.py:accuracy"}',
        "evaluator: {name: table, path: t.csv, key: k, metrics: {a: a}, codes: {1: one}, budgets: {12: {a: b}}}",
    ))  # fmt: skip
    found = resolve(read_configuration(path))
    text = json.dumps(found.configuration.to_json())
    again = resolve_mapping(json.loads(text), folder=path.parent)
    assert again.evaluator.config.budgets == found.evaluator.config.budgets == {12: {"a": "b"}}
    assert again.evaluator.config.path == path.parent / "t.csv"
    assert json.dumps(again.configuration.to_json()) == text
