"""`benchmarks/multifidelity.py`: curves, courses, and that the figures which it is there for are reached."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import attrs
import numpy as np
import pytest

from morphml_core.experiment.settings import Stop
from morphml_core.plugins.component import ComponentRef

ROOT = Path(__file__).parents[2]


def multifidelity(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "multifidelity.py"), "--processes", "1", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def pool(script):
    """30 candidates whose losses fall to their number over 9 epochs; the last of them fails after 4 epochs."""
    curves = script("curves")
    made = [
        curves.Curve(tuple(range(1, 10)), tuple((number + 9.0 - epoch,) for epoch in range(1, 10)))
        for number in range(30)
    ]
    made[-1] = curves.Curve((1, 4), ((50.0,), (49.0,)))
    space, index = curves._numbered(30)
    return curves.Pool(space, index, made, 9, True, [float(30 - number) for number in range(30)], [9.0] * 30)


def test_a_curve_is_what_was_measured_last(script):
    curve = script("curves").Curve((1, 4, 9), ((5.0,), (3.0, 4.0), (1.0,)))
    assert [curve.after(epochs) for epochs in (0, 1, 3, 4, 8, 9, 10)] == [None, 5.0, 5.0, 3.0, 3.0, 1.0, None]
    assert [curve.after(4, seed) for seed in (0, 1, 2)] == [3.0, 4.0, 3.0]


def test_a_search_spends_what_is_trained_and_its_course_ends_at_the_best(script, pool):
    module = script("multifidelity")
    for name in ("asha", "successive_halving"):
        reference = module.reference(ComponentRef("optimizer", name), pool, True)
        assert reference.options == ({"candidates": 30} if name == "successive_halving" else {})
        found = module.search(pool, reference, 0, stop=Stop(trials=600))
        counts = {epochs: sum(each.epochs == epochs for each in found.ended) for epochs in (1, 3, 9)}
        assert counts[1] == 30
        assert found.ended[-1].spent == 30 + 2 * counts[3] + 6 * counts[9]
        assert module.regret(pool, found)[-1][1] == 0.0


def test_a_full_training_of_all_has_the_whole_hypervolume(script, pool):
    pytest.importorskip("moocore")
    module = script("multifidelity")
    whole = attrs.evolve(pool, curves=[*pool.curves[:-1], pool.curves[0]])
    found = module.search(whole, ComponentRef("optimizer", "random"), 0, several=True, stop=Stop(trials=600))
    assert len(found.ended) == 30
    course = module.volume(whole, found)
    assert course[-1] == (270, 1.0)
    assert [score for _, score in course] == sorted(score for _, score in course)


def test_courses_are_averaged_where_all_have_a_score(script):
    module = script("multifidelity")
    band = module.band([[(10, 4.0), (50, 2.0)], [(20, 2.0), (100, 0.0)]], 100, points=300)
    assert min(point["share"] for point in band) >= 0.2
    at = {share: next(point for point in band if point["share"] >= share) for share in (0.3, 0.6, 1.0)}
    assert [(at[share]["mean"], at[share]["sem"]) for share in at] == [(3.0, 1.0), (2.0, 0.0), (1.0, 1.0)]
    assert np.isnan(module.on_grid([(5, 1.0)], np.array([1.0, 5.0]))[0])


def test_the_341_cells(data, tmp_path):
    pytest.importorskip("moocore")
    done = multifidelity(
        "--data",
        data,
        "--case",
        "nlp",
        "front",
        "--optimizer",
        "successive_halving",
        "asha",
        "--runs",
        2,
        "--json",
        "--output",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = {(each["case"], each["optimizer"]): each for each in map(json.loads, done.stdout.splitlines())}
    for (case, _), each in found.items():
        assert (each["kept"], each["runs"]) == (1.0, 2)
        assert each["share"]["mean"] <= (0.2 if case == "front" else 0.116)
    assert found["front", "asha"]["hypervolume"]["min"] == 1.0
    assert found["nlp", "asha"]["regret"]["max"] == 0.0
    assert json.loads((tmp_path / "multifidelity.json").read_text()) == list(found.values())
    assert (tmp_path / "multifidelity.png").exists() == (find_spec("matplotlib") is not None)


def test_workers_are_busy(data):
    done = multifidelity("--data", data, "--case", "workers", "--optimizer", "hyperband", "--runs", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["busy"]["min"] >= 0.95


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "nothing to run; name optimizers with --optimizer, or other libraries with --peers"),
        (("--optimizer", "ahsa"), "there is no optimizer 'ahsa'; did you mean 'asha'?"),
        (("--optimizer", "asha", "--data", "nowhere"), "there is no file nowhere/nas_bench_nlp_wikitext2/curves.json.gz; name the folder of the published tables with --data"),
        (("--optimizer", "asha", "--options", "size=1"), "none of the optimizers asha has an option 'size'"),
        (("--optimizer", "asha", "--options", "reduction=1"), "optimizer 'asha': 'reduction' must be >= 2: 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit(arguments, expected, data):
    done = multifidelity("--data", data, "--case", "nlp", *arguments)
    assert (done.returncode, done.stderr.strip()) == (2, f"error: {expected}")
