"""`benchmarks/figures.py`: curves, intervals, plots, and what is printed."""

import math

import pytest

from morphml_core.errors import MorphMLError


@pytest.fixture
def figures(script):
    return script("figures")


def test_a_curve_keeps_the_changes_and_gives_the_values_back(figures):
    values = [math.nan, 3.0, 3.0, 1.0, 1.0, 1.5]
    curve = figures.changes(values)
    assert curve == [(2, 3.0), (4, 1.0), (6, 1.5)]
    again = [figures.value_at(curve, count) for count in range(1, 7)]
    assert math.isnan(again[0])
    assert again[1:] == values[1:]
    assert figures.value_at(curve, 100) == 1.5


@pytest.mark.parametrize(("freedom", "expected"), [(4, 2.776), (9, 2.262), (19, 2.093), (49, 2.010), (1000, 1.962)])
def test_quantiles_of_students_t(figures, freedom, expected):
    assert figures.quantile(freedom) == pytest.approx(expected, rel=6e-3)


def test_the_interval_of_a_difference(figures):
    """Welch's example: scipy.stats.ttest_ind(one, other, equal_var=False).confidence_interval()."""
    one, other = [3.0, 4.0, 1.0, 2.1, 5.5, 2.0, 3.3], [490.0, 340.0, 433.0, 402.0, 395.0]
    gap, half = figures.difference(one, other)
    assert gap == pytest.approx(-409.0143, abs=1e-3)
    assert half == pytest.approx(68.2, rel=1e-2)
    assert figures.difference([1.0, 1.0], [0.0, 0.0]) == (1.0, 0.0)
    assert figures.difference([1.0], [0.0, 2.0]) == (0.0, math.inf)


def test_a_line_has_the_mean_and_its_band(figures):
    line = figures.line_of("x", [1, 2], [[1.0, 2.0], [3.0, 2.0]])
    assert line.mean == [2.0, 2.0]
    assert line.half == [pytest.approx(figures.quantile(1)), 0.0]


def test_pictures(figures, tmp_path):
    pytest.importorskip("matplotlib")
    line = figures.line_of("x", [1, 2], [[1.0, 2.0], [3.0, 2.0]])
    for name, start in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        figures.plot(tmp_path / name, {"one": [line], "two": [line, line], "three": [line]}, "n", "y", log_x=True)
        assert (tmp_path / name).read_bytes().startswith(start)


def test_results_are_printed_until_one_cannot_be_had(figures, capsys):
    def results(last):
        yield {"n": 1}
        if last:
            raise MorphMLError("no more")

    assert figures.report(results(False), lambda found: f"n is {found['n']}", False) == 0
    assert capsys.readouterr() == ("n is 1\n", "")
    assert figures.report(results(True), str, True) == 2
    assert capsys.readouterr() == ('{"n": 1}\n', "error: no more\n")
