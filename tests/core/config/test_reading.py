from pathlib import Path

import numpy as np
import pytest

from morphml_core.config import Finalists, Limits, Reproducible, Retries, Stop, from_mapping, read_configuration
from morphml_core.errors import ConfigurationError
from morphml_core.plugins.component import ComponentRef
from morphml_core.problem import Constraint, Objective

GOOD = """\
experiment: digits-cnn
seed: 7
objectives: [{name: accuracy}, {name: parameters, goal: minimize}]
constraints: [parameters <= 200000]
space:
  name: chain
  rates: [1e-3, 1e-2]
evaluator: {name: train, dataset: digits, epochs: 8}
optimizer: {name: regularized_evolution, population: 50}
executor: {name: processes, workers: 2}
storage: sqlite:///digits.db
stop: {trials: 100, time: 10m}
trial: {timeout: 2m, memory: 2GiB}
reproducible: {window: 4}
finalists: {top: 2}
hooks: [progress, {name: logbook, path: a.txt}]
"""

MINIMAL = "experiment: a\nobjectives: accuracy\nspace: cnn\nevaluator: train\nstop: {trials: 5}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="a.yaml"):
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


@pytest.fixture
def complaints(write):
    def complaints(text, *overrides, name="a.yaml"):
        with pytest.raises(ConfigurationError) as found:
            read_configuration(write(text, name), overrides)
        return str(found.value).splitlines()

    return complaints


def minimal(**changes):
    found = {"experiment": "a", "objectives": ["accuracy"], "space": "cnn", "evaluator": "train", "stop": {"trials": 5}}
    return {key: value for key, value in (found | changes).items() if value is not ...}


def refused(**changes):
    with pytest.raises(ConfigurationError) as found:
        from_mapping(minimal(**changes))
    return str(found.value).splitlines()


# what is read -----------------------------------------------------------------------------------------


def test_every_section(write, tmp_path):
    found = read_configuration(write(GOOD))
    assert found.experiment == "digits-cnn"
    assert found.seed == 7
    assert found.objectives == (Objective("accuracy"), Objective("parameters", "minimize"))
    assert found.constraints == (Constraint("parameters", "<=", 200000.0),)
    assert found.space == ComponentRef("space", "chain", {"rates": [0.001, 0.01]}, "a.yaml:5")
    assert found.evaluator == ComponentRef("evaluator", "train", {"dataset": "digits", "epochs": 8}, "a.yaml:8")
    assert found.storage == ComponentRef("storage", "sqlite", {"url": "sqlite:///digits.db"}, "a.yaml:11")
    assert found.stop == Stop(trials=100, time=600.0)
    assert found.trial == Limits(timeout=120.0, memory=2**31)
    assert found.reproducible == Reproducible(4)
    assert found.finalists == Finalists(2, 3)
    assert [ref.name for ref in found.hooks] == ["progress", "logbook"]
    assert (found.folder, found.source, found.output) == (tmp_path, "a.yaml", Path("results/digits-cnn"))


def test_what_is_left_out(write):
    found = read_configuration(write(MINIMAL))
    assert found.objectives == (Objective("accuracy"),)
    assert [(section, ref.name, ref.options) for section, ref in found.refs()] == [
        ("space", "cnn", {}),
        ("evaluator", "train", {}),
        ("optimizer", "default", {}),
        ("executor", "inline", {}),
        ("storage", "sqlite", {"url": "sqlite:///a.db"}),
        ("artifacts", "local", {}),
        ("hooks[0]", "progress", {}),
    ]
    assert {ref.where for _, ref in list(found.refs())[2:]} == {"a.yaml"}
    assert (found.seed, found.deduplicate, found.trial.retries, found.output) == (
        0,
        True,
        Retries(3),
        Path("results/a"),
    )


def test_empty_sections_are_left_out_and_none_is_nothing(write):
    text = MINIMAL + "seed:\ncache: none\nstopper: none\noptimizer: null\nhooks: []\n"
    found = read_configuration(write(text))
    assert (found.seed, found.cache, found.stopper, found.optimizer.name, found.hooks) == (0, None, None, "default", ())


def test_toml_says_the_same(write):
    toml = """\
experiment = "digits-cnn"
seed = 7
objectives = [{name = "accuracy"}, {name = "parameters", goal = "minimize"}]
constraints = ["parameters <= 200000"]
storage = "sqlite:///digits.db"
hooks = ["progress", {name = "logbook", path = "a.txt"}]
[space]
name = "chain"
rates = [1e-3, 1e-2]
[evaluator]
name = "train"
dataset = "digits"
epochs = 8
[optimizer]
name = "regularized_evolution"
population = 50
[executor]
name = "processes"
workers = 2
[stop]
trials = 100
time = "10m"
[trial]
timeout = "2m"
memory = "2GiB"
[reproducible]
window = 4
[finalists]
top = 2
"""
    assert read_configuration(write(toml, "a.toml")).to_json() == read_configuration(write(GOOD)).to_json()


def test_a_python_mapping_with_objects():
    space = object()
    found = from_mapping(
        minimal(space=space, seed=np.int64(3), stop={"target": np.float64(0.9)}, objectives=("a", Objective("b")))
    )
    assert found.space.options == {"python": space}
    assert (found.seed, found.stop, found.folder) == (3, Stop(target=0.9), None)
    assert found.objectives == (Objective("a"), Objective("b"))


# changes from the command line ------------------------------------------------------------------------


def test_set(write):
    changes = [
        "stop.trials=7", "optimizer=random", "evaluator.dataset.fraction=0.5", "objectives.1.goal=maximize", "hooks.0.plain=true",
        "space.rates=[1, 2]", "trial.memory=", "storage.readonly=true", "experiment=b", "cache.size=5", "cache.name=memory",
    ]  # fmt: skip
    found = read_configuration(write(GOOD), changes)
    assert found.stop == Stop(7, time=600.0)
    assert found.optimizer == ComponentRef("optimizer", "random", {}, "--set optimizer=random")
    assert found.evaluator.options == {"dataset": {"name": "digits", "fraction": 0.5}, "epochs": 8}
    assert found.objectives[1] == Objective("parameters")
    assert found.hooks[0] == ComponentRef("hook", "progress", {"plain": True}, "a.yaml:16")
    assert found.space.options == {"rates": [1, 2]}
    assert found.trial == Limits(timeout=120.0)
    assert found.storage.options == {"url": "sqlite:///digits.db", "readonly": True}
    assert (found.experiment, found.cache.options) == ("b", {"size": 5})


def test_set_without_sense(complaints):
    assert complaints(
        GOOD, "stop", "=3", "a..b=1", "seed.x=1", "objectives.9.name=x", "objectives.x=1", "stop.trials=[", "stop.trials=many",
        "spice.name=b", "stop.trails=3",
    ) == [
        "--set stop: does not say what to set; write PATH=VALUE, such as optimizer.population=20",
        "--set =3: does not say what to set; write PATH=VALUE, such as optimizer.population=20",
        "--set a..b=1: does not say what to set; write PATH=VALUE, such as optimizer.population=20",
        "--set seed.x=1: 'seed' is 7 (a whole number), so there is no 'x' in it",
        "--set objectives.9.name=x: 'objectives' has 2 elements, numbered from 0; there is no '9'",
        "--set objectives.x=1: 'objectives' has 2 elements, numbered from 0; there is no 'x'",
        "--set stop.trials=[: not YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
        "--set spice.name=b: there is no section 'spice'; did you mean 'space'?",
        "--set stop.trails=3: section 'stop' has no option 'trails'; did you mean 'trials'?",
        "--set stop.trials=many: section 'stop': 'trials' must be a whole number, but it is 'many' (a string)",
    ]  # fmt: skip


# what is wrong ----------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_told_at_once(complaints):
    assert complaints("""\
experiment: my experiment
seed: 1.5
objectives: [accuracy, {name: accuracy}, {goal: minimize}, {name: b, goal: lower}]
constraints: [parameters 200000, 5]
spice: chain
evaluator: {dataset: digits}
optimizer: {name: random, python: a.py:b}
stop:
  trails: 3
  time: soon
trial: {timeout: 0, cpus: .nan, retries: -1}
reproducible: {window: 0}
finalists: 5
deduplicate: yes
hooks: [progress, 5]
""") == [
        (
            "a.yaml:1: 'my experiment' cannot be the name of an experiment: it begins with a letter or digit, "
            "has letters, digits, '.', '_' and '-', and at most 100 of them"
        ),
        "a.yaml:1: the section 'space' is missing: what is searched, such as {name: cnn}",
        "a.yaml:2: section 'seed' must be a whole number, but it is 1.5 (a number)",
        "a.yaml:3: the objective 'accuracy' is there twice; keep one of them",
        "a.yaml:3: objective 3 needs the option 'name' (a string)",
        "a.yaml:3: objective 4: 'goal' must be one of 'maximize', 'minimize', but it is 'lower' (a string)",
        "a.yaml:4: 'parameters 200000' is not a constraint; write METRIC <= NUMBER (or >=, <, >)",
        "a.yaml:4: constraint 2 must be a string, but it is 5 (a whole number)",
        "a.yaml:5: there is no section 'spice'; did you mean 'space'?",
        "a.yaml:6: section 'evaluator' needs 'name', the name of an evaluator (or 'python', an object of yours)",
        "a.yaml:7: section 'optimizer' has both 'name' and 'python'; keep one of them",
        "a.yaml:9: section 'stop' has no option 'trails'; did you mean 'trials'?",
        "a.yaml:10: section 'stop': 'time' must be a duration (seconds, or text such as 30s, 10m, 2h), but it is 'soon' (a string)",
        "a.yaml:11: section 'trial': 'timeout' must be > 0: 0.0",
        "a.yaml:11: section 'trial': 'cpus' must be a finite number: nan",
        "a.yaml:11: section 'trial': 'retries' must be >= 0: -1",
        "a.yaml:12: section 'reproducible': 'window' must be >= 1: 0",
        "a.yaml:13: section 'finalists' must be a mapping of options, but it is 5 (a whole number)",
        "a.yaml:14: section 'deduplicate' must be true or false, but it is 'yes' (a string)",
        "a.yaml:15: section 'hooks' must be the name of a hook, or a mapping with 'name', but it is 5 (a whole number)",
    ]


def test_sections_that_are_missing(complaints):
    assert complaints("experiment: a\nspace:\n") == [
        "a.yaml:1: the section 'objectives' is missing: what is wanted, such as [accuracy]",
        "a.yaml:1: the section 'evaluator' is missing: how a candidate is measured, such as {name: train, dataset: digits}",
        "a.yaml:1: the section 'stop' is missing: when the search ends, such as {trials: 100}",
        "a.yaml:2: the section 'space' is missing: what is searched, such as {name: cnn}",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop": {}}, "stop: section 'stop' has no condition; set trials, evaluations, time or target"),
        (
            {"finalists": {}},
            (
                "stop.trials: section 'stop': 'trials' is 5, but the finalists alone take 15 (5 times 3); "
                "set it to 16 at least, or lower finalists.top or finalists.repeats"
            ),
        ),
        (
            {"stop": {"evaluations": 4}, "finalists": {"top": 2, "repeats": 2}},
            (
                "stop.evaluations: section 'stop': 'evaluations' is 4, but the finalists alone take 4 (2 times 2); "
                "set it to 5 at least, or lower finalists.top or finalists.repeats"
            ),
        ),
        ({"objectives": []}, "objectives: section 'objectives' is empty; name at least one metric, such as accuracy"),
        ({"objectives": [" "]}, "objectives[0]: objective 1 has an empty name"),
        ({"constraints": ["a <= nan"]}, "constraints[0]: 'a <= nan' is not a constraint: its bound is not a number"),
        ({"experiment": 5}, "experiment: section 'experiment' must be a string, but it is 5 (a whole number)"),
        (
            {"space": ["a"]},
            "space: section 'space' must be the name of a space, or a mapping with 'name', but it is a list",
        ),
        ({5: 1}, "[5]: there is no section '5'; there are artifacts, "),
        ({"stop": {"target": float("inf")}}, "stop.target: section 'stop': 'target' must be a finite number: inf"),
        ({"output": 5}, "output: section 'output' must be a path, but it is 5 (a whole number)"),
    ],
)
def test_one_thing_that_is_wrong(changes, message):
    with pytest.raises(ConfigurationError) as found:
        from_mapping(minimal() | changes)
    [line] = str(found.value).splitlines()
    assert line == message or (message.endswith(", ") and line.startswith(message))


def test_a_mapping_that_holds_itself():
    options = {}
    options["again"] = [options]
    assert refused(space={"name": "cnn", "options": options}) == ["space.options.again[0]: it holds itself"]


def test_a_mapping_that_is_too_deep():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ConfigurationError) as found:
        from_mapping({"space": deep})
    assert str(found.value) == "the configuration is nested too deeply"


# files that cannot be read ----------------------------------------------------------------------------


SECTIONS = "a configuration is a mapping with the sections experiment, objectives, space, evaluator, stop, but it is "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"a.yaml:1: {SECTIONS}empty"),
        ("# nothing\n", f"a.yaml:1: {SECTIONS}empty"),
        ("- a\n", f"a.yaml:1: {SECTIONS}a list"),
        ("5", f"a.yaml:1: {SECTIONS}5 (a whole number)"),
        (b"a: 1\nb: \xff\n", "a.yaml:2: not UTF-8 text: the byte 0xff is none"),
        ("a: 1\nb: \0\n", "a.yaml:2: not YAML: the character '\\x00' is not allowed"),
        (
            "a: [1,\nb: 2\n",
            "a.yaml:3: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        ("a: b: c\n", "a.yaml:1: not YAML: mapping values are not allowed here"),
        (
            "a: 1\n---\nb: 2\n",
            "a.yaml:2: not YAML: expected a single document in the stream, but found another document",
        ),
        ("a: *b\n", "a.yaml:1: not YAML: found undefined alias 'b'"),
        ("a: &b [*b]\n", "a.yaml:1: not readable: an alias (*) stands inside of what it names"),
        ("a: " + "[" * 3000, "a.yaml: not readable: it is nested too deeply"),
    ],
)
def test_texts_that_are_no_configuration(complaints, text, message):
    assert complaints(text) == [message]


def test_keys_and_tags(complaints):
    text = MINIMAL + "seed: 1\nseed: 2\ncache: !!python/object:os.system {}\n[1]: 2\ntrial: {cpus: !!float x}\n"
    assert complaints(text) == [
        "a.yaml:7: 'seed' is there twice (first in line 6); keep one of them",
        "a.yaml:8: the tag 'tag:yaml.org,2002:python/object:os.system' is not supported; write plain values",
        "a.yaml:9: a key must be a name, but it is a list or a mapping",
        "a.yaml:10: 'x' cannot be read as a number; write another value",
        "a.yaml:10: section 'trial': 'cpus' must be a number, but it is empty (null)",
    ]


def test_numbers_of_too_many_digits(complaints):
    assert complaints(MINIMAL + f"seed: {'9' * 5000}\n")[0] == (
        f"a.yaml:6: '{'9' * 57}...' cannot be read as a whole number of 5000 characters; write another value"
    )


def test_merge_keys(complaints):
    assert complaints(MINIMAL + "trial: &all {cpus: 1}\nreproducible: {<<: *all, window: 3}\n") == [
        "a.yaml:7: merge keys (<<) are no part of YAML 1.2; write the values out, or name them with an alias (*)"
    ]


def test_aliases_of_aliases_do_not_explode(complaints):
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n"
    for depth in range(1, 9):
        text += f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 8)}]\n"
    assert complaints(text) == ["a.yaml: not readable: it holds more than 100000 values"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = \n", "a.toml:1: not TOML: invalid value"),
        ("a = 1\na = 2\n", "a.toml:2: not TOML: cannot overwrite a value"),
        ("[a", "a.toml:1: not TOML: expected ']' at the end of a table declaration"),
        ("a = " + "[" * 5000, "a.toml: not readable: it is nested too deeply"),
        ("a = " + "9" * 5000, "a.toml: not TOML: a number in it is too long"),
    ],
)
def test_texts_that_are_no_toml(complaints, text, message):
    assert complaints(text, name="a.toml") == [message]


def test_files_that_cannot_be_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, reason in (
        ("absent.yaml", "No such file or directory"),
        (".", "Is a directory"),
        ("a\0b", "embedded null byte"),
    ):
        with pytest.raises(ConfigurationError) as found:
            read_configuration(name)
        assert str(found.value) == f"{name}: cannot be read: {reason}"
