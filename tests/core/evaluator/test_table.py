"""The evaluator `table`: keys, repeats, budgets, durations, and what it says of files that do not fit."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import EvaluationError, PluginError
from morphml_core.evaluator.table import Config, TableEvaluator
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Constraint, Objective, Problem, Task
from morphml_core.protocols import Measurement
from morphml_core.space import nasbench201
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing import EvaluatorSuite

DATA = Path(os.environ.get("MORPHML_DATA", Path(__file__).parents[4] / "shared" / "data"))
SPACE = SearchSpace(DecisionSpace([Decision("op", Choice(("conv", "pool"))), Decision("depth", Integer(2, 4))]))
TEXT = """\
arch,s0,s1,s2,size,hours,early
00,0.50,0.52,0.54,10,1.0,0.30
01,0.60,0.62,,20,2.0,0.31
02,0.70,0.72,0.74,30,3.0,0.32
10,0.55,0.57,0.59,15,1.5,0.33
11,0.65,,,25,2.5,
"""
SEEDS = ["s0", "s1", "s2"]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "known.csv"
    file.write_text(TEXT)
    return file


def evaluate(evaluator, space, values, seed=0, epochs=None):
    genotype = space.decisions.genotype(values)
    evaluation = evaluator.evaluate(Task(0, genotype, seed, budget=Budget(epochs)), space.express(genotype), None)
    reports = []
    while True:
        try:
            reports.append(next(evaluation))
        except StopIteration as end:
            return reports, end.value


def result(evaluator, values, seed=0, space=SPACE):
    return evaluate(evaluator, space, values, seed)[1]


class TestSuite(EvaluatorSuite):
    candidates = 5
    least_epochs = 4

    @pytest.fixture
    def make(self, tmp_path):
        rows = [f"{a}{b}{c},{a + b / 10},{c}.5,0.{a}" for a in range(3) for b in range(3) for c in range(2)]
        (tmp_path / "t.csv").write_text("ops,x,y,early\n" + "\n".join(rows))
        domains = {"a": Choice((1, 2, 3)), "b": Integer(5, 7), "c": Choice(("p", "q"))}
        space = SearchSpace(DecisionSpace(Decision(name, domain) for name, domain in domains.items()))
        metrics = {"accuracy": ["x", "y"], "size": "y"}
        config = Config(
            tmp_path / "t.csv", "ops", metrics, known=["size"], epochs=9, budgets={4: {"accuracy": "early"}}
        )
        return lambda: (TableEvaluator(config, space), space)


def test_the_key_is_the_index_of_each_value(path):
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": "s0", "size": "size"}), SPACE)
    assert result(evaluator, {"op": "conv", "depth": 3}) == {"accuracy": 0.60, "size": 20.0}
    assert result(evaluator, {"op": "pool", "depth": 2}) == {"accuracy": 0.55, "size": 15.0}


def test_the_key_in_columns_named_like_decisions(tmp_path):
    path = tmp_path / "columns.csv"
    path.write_text("op,depth,accuracy\nconv,2,0.1\npool,03,0.2\n")
    evaluator = TableEvaluator(Config(path, ["op", "depth"], {"accuracy": "accuracy"}), SPACE)
    assert result(evaluator, {"op": "pool", "depth": 3}) == {"accuracy": 0.2}
    with pytest.raises(EvaluationError, match=r"has no row with op 'conv', depth 4\.0$"):
        result(evaluator, {"op": "conv", "depth": 4})


def test_the_key_in_columns_of_other_names(tmp_path):
    path = tmp_path / "columns.csv"
    path.write_text("lr,layer,accuracy\n1e-3,c,0.1\n0.1,p,0.2\n")
    domains = {"op": Choice(("conv", "pool")), "hyperparameters.rate": Choice((0.001, 0.1)), "unused": Real(0, 1)}
    space = SearchSpace(DecisionSpace(Decision(name, domain) for name, domain in domains.items()))
    key = {"lr": "hyperparameters.rate", "layer": "op"}
    evaluator = TableEvaluator(Config(path, key, {"accuracy": "accuracy"}, codes={"conv": "c", "pool": "p"}), space)
    assert result(evaluator, {"op": "conv", "hyperparameters.rate": 0.001, "unused": 0.3}, space=space) == {
        "accuracy": 0.1
    }


def test_codes_in_a_joined_key(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("arch,accuracy\nC-4,0.1\nP-2,0.2\n")
    codes = {"conv": "C-", "pool": "P-", 2: "2", 3: "3", 4: "4"}
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": "accuracy"}, codes=codes), SPACE)
    assert result(evaluator, {"op": "conv", "depth": 4}) == {"accuracy": 0.1}


def test_decisions_that_are_not_there_have_no_digit(tmp_path):
    path = tmp_path / "optional.csv"
    path.write_text("arch,accuracy\n0,0.1\n11,0.2\n")
    decisions = [Decision("op", Choice(("no", "yes"))), Decision("kernel", Choice((3, 5)), "op", ("yes",))]
    space = SearchSpace(DecisionSpace(decisions))
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": "accuracy"}), space)
    assert result(evaluator, {"op": "no"}, space=space) == {"accuracy": 0.1}
    assert result(evaluator, {"op": "yes", "kernel": 5}, space=space) == {"accuracy": 0.2}


def test_the_seed_draws_a_repeat_and_empty_cells_are_none(path):
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": SEEDS}), SPACE)
    draws = [result(evaluator, {"op": "conv", "depth": 2}, seed)["accuracy"] for seed in range(6)]
    assert draws == [0.50, 0.52, 0.54, 0.50, 0.52, 0.54]
    two = [result(evaluator, {"op": "conv", "depth": 3}, seed)["accuracy"] for seed in range(4)]
    assert two == [0.60, 0.62, 0.60, 0.62]
    assert result(evaluator, {"op": "pool", "depth": 3}, seed=5) == {"accuracy": 0.65}


def test_repeats_are_drawn_evenly_over_trial_numbers(path):
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": SEEDS}), SPACE)
    problem = Problem(SPACE, [Objective("accuracy")], seed=1)
    draws = [
        result(evaluator, {"op": "conv", "depth": 2}, problem.seed_of(number))["accuracy"] for number in range(600)
    ]
    assert all(150 < draws.count(value) < 250 for value in (0.50, 0.52, 0.54))


def test_durations(path):
    config = Config(
        path,
        "arch",
        {"accuracy": "s0"},
        duration="hours",
        duration_scale=3600,
        epochs=10,
        budgets={5: {"accuracy": "early"}},
    )
    evaluator = TableEvaluator(config, SPACE)
    genotype = SPACE.decisions.genotype({"op": "pool", "depth": 2})
    assert evaluator.duration(Task(0, genotype, 0)) == 5400.0
    assert evaluator.duration(Task(0, genotype, 0, budget=Budget(5))) == 2700.0
    assert result(evaluator, {"op": "pool", "depth": 2}) == {"accuracy": 0.55, "duration_s": 5400.0}
    assert TableEvaluator(Config(path, "arch", {"accuracy": "s0"}), SPACE).duration(Task(0, genotype, 0)) == 0.0


def test_budgets_and_reports(path):
    config = Config(path, "arch", {"accuracy": "s0"}, epochs=10, budgets={5: {"accuracy": "early"}})
    evaluator = TableEvaluator(config, SPACE)
    values = {"op": "conv", "depth": 2}
    assert evaluator.budget == Budget(10)
    assert evaluate(evaluator, SPACE, values) == ([Measurement(5, {"accuracy": 0.30})], {"accuracy": 0.50})
    assert evaluate(evaluator, SPACE, values, epochs=10) == ([Measurement(5, {"accuracy": 0.30})], {"accuracy": 0.50})
    assert evaluate(evaluator, SPACE, values, epochs=5) == ([], {"accuracy": 0.30})
    with pytest.raises(EvaluationError) as found:
        evaluate(evaluator, SPACE, values, epochs=7)
    assert str(found.value) == f"the table {path} has no results after 7 epochs; it has them after 5, 10"
    with pytest.raises(EvaluationError) as unknown:
        evaluate(TableEvaluator(Config(path, "arch", {"accuracy": "s0"}), SPACE), SPACE, values, epochs=7)
    expected = f"the table {path} has no results after 7 epochs; set 'epochs' to the number that it was recorded with"
    assert str(unknown.value) == expected


def test_known_metrics_let_constraints_refuse(path):
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": "s0", "size": "size"}, known=["size"]), SPACE)
    problem = Problem(SPACE, [Objective("accuracy")], [Constraint.parse("size <= 20")], known=evaluator.known)
    fits, large, missing = ({"op": "conv", "depth": 3}, {"op": "conv", "depth": 4}, {"op": "pool", "depth": 4})
    assert problem.refusal(SPACE.decisions.genotype(fits)) is None
    assert problem.refusal(SPACE.decisions.genotype(large)) == "breaks the constraint size <= 20: size is 30"
    assert problem.refusal(SPACE.decisions.genotype(missing)) is None


def test_a_key_that_is_not_there_is_invalid(path):
    evaluator = TableEvaluator(Config(path, "arch", {"accuracy": "s0"}), SPACE)
    with pytest.raises(EvaluationError) as found:
        result(evaluator, {"op": "pool", "depth": 4})
    assert str(found.value) == f"the table {path} has no row with arch '12'"
    assert found.value.cause == "invalid"


def test_compressed_files_and_paths_beside_the_configuration(tmp_path):
    with gzip.open(tmp_path / "known.csv.gz", "wt") as stream:
        stream.write(TEXT)
    options = {
        "path": "known.csv.gz",
        "key": "arch",
        "metrics": {"accuracy": SEEDS, "size": "size"},
        "codes": {},
        "budgets": {},
    }
    part = Loader(folder=tmp_path).load(ComponentRef("evaluator", "table", options))
    assert part.config.path == tmp_path / "known.csv.gz"
    assert result(part.create(SPACE), {"op": "conv", "depth": 2}) == {"accuracy": 0.50, "size": 10.0}


WIDE = SearchSpace(DecisionSpace([Decision("op", Choice(("conv", "pool"))), Decision("width", Integer(1, 11))]))
FREE = SearchSpace(DecisionSpace([Decision("rate", Real(0.1, 0.2))]))
NO_DIGIT = "has no index of one digit, so one column cannot be its key; give 'key' a list of columns, one a decision"
COLUMNS = "arch, s0, s1, s2, size, hours, early"


def refusal(config, space=SPACE):
    with pytest.raises(PluginError) as found:
        TableEvaluator(config, space)
    return str(found.value)


@pytest.mark.parametrize(
    ("options", "space", "expected"),
    [
        ({"key": "ops"}, SPACE, "the table {path} has no column 'ops'; there are " + COLUMNS),
        ({"metrics": {"a": "acc"}}, SPACE, "the table {path} has no column 'acc'; there are " + COLUMNS),
        ({"duration": "time"}, SPACE, "the table {path} has no column 'time'; there are " + COLUMNS),
        ({"known": ["b"]}, SPACE, "'known' has 'b', which is not in 'metrics'; there are a"),
        (
            {"budgets": {5: {"a": "early"}}},
            SPACE,
            "'budgets' has 5 epochs, so 'epochs' must be there and more, but is None",
        ),
        (
            {"epochs": 5, "budgets": {5: {"a": "early"}}},
            SPACE,
            "'budgets' has 5 epochs, so 'epochs' must be there and more, but is 5",
        ),
        ({"codes": {"conv": "c"}}, SPACE, "'codes' has no text for the value 'pool' of the decision 'op'"),
        (
            {},
            WIDE,
            f"the decision 'width' (Integer(low=1, high=11, log=False)) {NO_DIGIT}",
        ),
        (
            {},
            FREE,
            f"the decision 'rate' (Real(low=0.1, high=0.2, log=False)) {NO_DIGIT}",
        ),
    ],
)
def test_options_that_do_not_fit(path, options, space, expected):
    config = Config(**{"path": path, "key": "arch", "metrics": {"a": "s0"}, **options})
    assert refusal(config, space) == expected.format(path=path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "arch,s0\n00,0.5\n00,0.6\n",
            "the table {path} has arch '00' twice, in rows 2 and 3; a key identifies one row",
        ),
        ("arch,s0\n00,0.5\n01,good\n", "the table {path} has 'good' in row 3, column 's0'; a finite number is needed"),
        ("arch,s0\n00,nan\n", "the table {path} has 'nan' in row 2, column 's0'; a finite number is needed"),
        ("arch,s0\n00,0.5,1\n", "the table {path} has 3 cells in row 2, but 2 in its header"),
        ("arch,s0\n", "the table {path} has no rows; it needs a header and at least one row of results"),
        ("", "the table {path} has no rows; it needs a header and at least one row of results"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, expected):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert refusal(Config(path, "arch", {"a": "s0"})) == expected.format(path=path)


def test_files_that_cannot_be_read(tmp_path):
    missing, folder, plain, binary = (
        tmp_path / name for name in ("no.csv", "folder.csv", "plain.csv.gz", "binary.csv")
    )
    folder.mkdir()
    plain.write_text(TEXT)
    binary.write_bytes(b"\xff\xfe\x00")
    assert (
        refusal(Config(missing, "arch", {}))
        == f"there is no table {missing}; relative paths begin at the configuration's folder"
    )
    assert refusal(Config(folder, "arch", {})).startswith(
        f"the table {folder} cannot be read: [Errno 21] Is a directory"
    )
    assert refusal(Config(plain, "arch", {})) == f"the table {plain} cannot be read: Not a gzipped file (b'ar')"
    assert refusal(Config(binary, "arch", {})).startswith(
        f"the table {binary} cannot be read: 'utf-8' codec can't decode"
    )


@given(st.text(alphabet="a,1\n\"0 'é", max_size=60))
def test_any_text_is_a_table_or_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "t.csv"
    path.write_text("arch,s0\n" + text)
    try:
        TableEvaluator(Config(path, "arch", {"a": "s0"}), SPACE)
    except PluginError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.skipif(not DATA.is_dir(), reason="the published tables are not here; set MORPHML_DATA to their folder")
def test_nasbench201_is_found_by_its_own_space():
    space = nasbench201.component.create(nasbench201.Config())
    start = time.perf_counter()
    config = Config(
        DATA / "nasbench201" / "cifar10.csv.gz", "ops", {"accuracy": [f"val_acc_200ep_s{seed}" for seed in range(3)]}
    )
    evaluator = TableEvaluator(config, space)
    assert time.perf_counter() - start < 2.0
    values = dict(zip((d.path for d in space.decisions.decisions), nasbench201.OPERATIONS[4:1:-2] * 3, strict=True))
    digits = "".join(str(nasbench201.OPERATIONS.index(value)) for value in values.values())
    assert digits == "424242"
    found = {round(result(evaluator, values, seed, space)["accuracy"], 4) for seed in range(6)}
    assert len(found) in (2, 3)
    assert np.ptp(list(found)) < 5
