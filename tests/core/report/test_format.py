import pytest

from morphml_core.report.format import duration, metrics, number, value


@pytest.mark.parametrize(
    ("held", "text"),
    [
        (0, "0"), (12345.0, "12,345"), (0.97134, "0.9713"), (1.5834, "1.583"), (12.3456, "12.35"), (99999.5, "100,000"), (0.001234, "0.001234"),
        (1.2e-7, "1.2e-07"), (1.5e9 + 0.5, "1.5e+09"), (-0.25, "-0.2500"), (float("nan"), "nan"), (float("inf"), "inf"), ("text", "text"), (True, "True"),
    ],
)  # fmt: skip
def test_number(held, text):
    assert number(held) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (0.85, "850 ms"), (4.21, "4.2 s"), (59.7, "1 min"), (60, "1 min"), (192, "3 min 12 s"), (7500, "2 h 5 min"), (86400, "1 d"),
        (90000, "1 d 1 h"), (float("inf"), "unknown"),
    ],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_value():
    assert value(("a", 2, 0.5)) == "{a, 2, 0.5}"
    assert value(0.000123456) == "0.0001235"
    assert value("conv") == "conv"


def test_metrics_begin_with_those_that_are_asked_for():
    held = {"parameters": 1200.0, "accuracy": 0.5}
    assert metrics(held, ("accuracy", "absent")) == "accuracy 0.5000, parameters 1,200"
