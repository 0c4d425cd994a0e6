"""`benchmarks/tables.py`: each published table by name, its optimum and its rows."""

import json
import math

import pytest

from morphml_core.errors import EvaluationError, MorphMLError
from morphml_core.problem import Problem, Task
from morphml_core.space.decisions import Genotype

OPTIMA = {
    "nasbench201/cifar10": 91.6067, "nasbench201/cifar100": 73.4933, "nas_bench_macro/cifar10": 93.1267,
    "transnasbench101_micro/jigsaw": 95.3722, "transnasbench101_micro/class_object": 45.5862,
    "transnasbench101_micro/class_scene": 54.9363, "transnasbench101_micro/room_layout": -0.6010,
    "transnasbench101_micro/segmentsemantic": 94.6125, "transnasbench101_micro/normal": 0.5873,
    "transnasbench101_micro/autoencoder": 0.5772, "nas_bench_graph/cora": 0.8193, "nas_bench_graph/citeseer": 0.7280,
    "nas_bench_graph/pubmed": 0.8113, "nas_bench_graph/photo": 0.9407, "nas_bench_graph/computers": 0.9190,
    "nas_bench_graph/arxiv": 0.7367, "hpolib_fcnet/protein_structure": 0.221379,
    "hpolib_fcnet/parkinsons_telemonitoring": 0.006706, "hpolib_fcnet/naval_propulsion": 3.1911e-05,
    "hpolib_fcnet/slice_localization": 1.9160e-04, "hpobench_mlp/australian": 0.9447,
    "hpobench_mlp/blood_transfusion": 0.7467, "hpobench_mlp/car": 1.0, "hpobench_mlp/credit_g": 0.8853,
    "hpobench_mlp/kc1": 0.8524, "hpobench_mlp/phoneme": 0.9445, "hpobench_mlp/segment": 0.9685, "hpobench_mlp/vehicle": 0.9516,
}  # fmt: skip
"""As the tables' own descriptions state them."""


@pytest.fixture
def tables(script):
    return script("tables")


def test_there_are_28_tables(tables):
    assert set(tables.NAMES) == set(OPTIMA)
    assert len(tables.NAMES) == 28


@pytest.mark.parametrize("name", OPTIMA)
def test_each_has_its_published_optimum_and_finds_every_row(tables, data, name):
    bench = tables.table(name, data)
    assert bench.best == pytest.approx(OPTIMA[name], rel=1e-4)
    decisions = bench.space.decisions
    for number in range(200):
        genotype = decisions.sample(Problem(bench.space, [bench.objective]).rng(number))
        row = bench.row(genotype)
        assert row is not None
        assert bench.query(genotype, number) == bench.repeats[row][number % len(bench.repeats[row])]
        assert bench.objective.loss(bench.mean(genotype)) >= bench.objective.loss(bench.best)
        assert bench.regret(genotype) == pytest.approx(
            abs(bench.best - math.fsum(bench.repeats[row]) / len(bench.repeats[row]))
        )


@pytest.mark.parametrize(
    ("name", "digits", "mean"),
    [
        ("nasbench201/cifar10", "333132", 91.6067),
        ("nas_bench_macro/cifar10", "22212220", 93.1267),
        ("transnasbench101_micro/class_scene", "000000", 7.48),
    ],
)
def test_known_rows(tables, data, name, digits, mean):
    bench = tables.table(name, data)
    decisions = bench.space.decisions.decisions
    slots = [decision.domain.values[int(digit)] for decision, digit in zip(decisions, digits, strict=True)]
    assert bench.mean(Genotype(slots)) == pytest.approx(mean, abs=1e-2)


def test_durations_are_recorded_or_one_second(tables, data):
    timed, untimed = tables.table("nasbench201/cifar10", data), tables.table("nas_bench_macro/cifar10", data)
    first = Genotype(("none",) * 6)
    assert timed.evaluator.duration(Task(0, first, 0)) == timed.metrics["train_time_s"][timed.row(first)] > 100.0
    assert untimed.evaluator.duration(Task(0, Genotype(("mb3",) * 8), 0)) == 1.0


def test_rows_of_grids_are_those_of_their_columns(tables, data):
    """Genotypes made from the columns of a file come back to their rows."""
    import numpy as np

    bench = tables.table("hpolib_fcnet/protein_structure", data)
    with np.load(data / "hpolib_fcnet" / "protein_structure.npz") as file:
        places, losses = file["config_idx"], file["val_loss"]
    for row in (0, 1, 61, 12345, 62207):
        slots = [
            found[place] if isinstance(found, tuple) else int(place)
            for found, place in zip(tables.FCNET.values(), places[row], strict=True)
        ]
        assert bench.row(Genotype(slots)) == row
        assert bench.query(Genotype(slots), 2) == losses[row][2]


def test_the_flat_variant_has_the_same_rows_and_no_graphs(tables, data):
    bench = tables.table("nas_bench_macro/cifar10", data)
    genotype = bench.space.decisions.sample(Problem(bench.space, [bench.objective]).rng(3))
    assert bench.space.express(genotype).graph is not None
    assert bench.flat.space.express(genotype).graph is None
    assert bench.flat.query(genotype, 5) == bench.query(genotype, 5)


def test_a_network_without_a_row_is_invalid(tables, data):
    bench = tables.table("nas_bench_graph/cora", data)
    genotype = Genotype(("0123", "skip", "skip", "skip", "skip"))
    evaluation = bench.evaluator.evaluate(Task(0, genotype, 0), bench.space.express(genotype), None)
    with pytest.raises(EvaluationError, match=r"^the table nas_bench_graph/cora has no such row$") as caught:
        next(evaluation)
    assert caught.value.cause == "invalid"


def test_patterns(tables):
    assert tables.matching(["hpolib_fcnet/*", "hpolib_fcnet/naval_propulsion"]) == list(tables.NAMES[16:20])
    assert tables.matching(["all"]) == list(tables.NAMES)
    with pytest.raises(MorphMLError, match=r"^there is no table 'nasbench301'; there are nasbench201/cifar10, "):
        tables.matching(["nasbench301"])


def test_a_folder_without_tables(tables, tmp_path):
    with pytest.raises(
        MorphMLError,
        match=f"^there is no table {tmp_path}/hpobench_mlp/car.npz; --data or MORPHML_DATA name its folder$",
    ):
        tables.table("hpobench_mlp/car", tmp_path)


def test_the_list_of_tables(tables, data, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tables.py", "nasbench201/cifar10", "--data", str(data), "--json"])
    assert tables.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["genotypes"], found["rows"], found["repeats"], found["goal"]) == (15625, 15625, [2, 3], "maximize")
