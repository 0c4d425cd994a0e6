"""`benchmarks/floor.py`: the luckiest of the best architectures is not the best."""

import json

import numpy as np
import pytest


def test_the_floor_of_a_table_with_known_noise(script):
    class Bench:
        repeats = ((1.0, 1.0), (0.0, 1.5), (0.9, 0.9))
        means = (1.0, 0.75, 0.9)

        class objective:  # noqa: N801
            loss = staticmethod(lambda value: -value)

    floor = script("floor").floor
    rng = np.random.default_rng(1)
    assert floor(Bench, 1, 1, 50, rng) == {"mean": 0.0, "sem": 0.0}
    # The third draws 1.5 half of the time, and its mean is 0.25 less than the best.
    assert floor(Bench, 3, 1, 4000, rng)["mean"] == pytest.approx(0.125, abs=0.01)
    # In two draws it has it three times in four.
    assert floor(Bench, 3, 2, 4000, rng)["mean"] == pytest.approx(0.1875, abs=0.01)


def test_a_line_for_each_table(script, data, capsys):
    arguments = ["--table", "nas_bench_macro/cifar10", "--best", "1", "50", "--runs", "200", "--json"]
    assert script("floor").main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["floor"]["1"]["mean"] == 0.0
    assert 0.05 < found["floor"]["50"]["mean"] < 0.08


def test_a_table_that_is_not_there(script, capsys):
    assert script("floor").main(["--table", "no/such"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no table 'no/such'; there are nasbench201/cifar10")
