import contextlib
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.experiment.metrics import BadMetricsError, check, storable


class Unshowable:
    def __repr__(self):
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    "number",
    [1, 0.5, True, np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.array(0.5), Fraction(1, 2)],
)
def test_numbers_of_all_kinds_become_floats(number):
    found = check({"a": number}, ["a"])
    assert found == {"a": float(number)}
    assert type(found["a"]) is float


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=200).filter(str.isprintable), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_finite_metrics_stay_what_they_are(metrics):
    assert check(metrics, list(metrics)) == metrics


@given(
    st.recursive(
        st.none() | st.floats() | st.text() | st.integers() | st.binary(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_anything_is_metrics_or_a_sentence(returned):
    with contextlib.suppress(BadMetricsError):
        found = check(returned)
        assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("0.97", "the evaluation returned '0.97' (a str), but metrics are a mapping of names to numbers"),
        (0.97, "the evaluation returned 0.97 (a float), but metrics are a mapping of names to numbers"),
        (None, "the evaluation returned None, but metrics are a mapping of names to numbers"),
        ({"accuracy": math.nan}, "the metric 'accuracy' is nan, but metrics are finite numbers"),
        ({"accuracy": -math.inf}, "the metric 'accuracy' is -inf, but metrics are finite numbers"),
        ({"accuracy": np.float32("nan")}, "the metric 'accuracy' is nan, but metrics are finite numbers"),
        ({"accuracy": "0.97"}, "the metric 'accuracy' is '0.97' (a str), but metrics are finite numbers"),
        ({"accuracy": None}, "the metric 'accuracy' is None, but metrics are finite numbers"),
        ({"accuracy": [0.97]}, "the metric 'accuracy' is [0.97] (a list), but metrics are finite numbers"),
        ({"accuracy": 1j}, "the metric 'accuracy' is 1j (a complex), but metrics are finite numbers"),
        (
            {"accuracy": np.array([1.0])},
            "the metric 'accuracy' is array([1.]) (a ndarray), but metrics are finite numbers",
        ),
        ({"accuracy": 10**400}, "the metric 'accuracy' is too large a number"),
        ({"accuracy": Decimal(1)}, "the metric 'accuracy' is Decimal('1') (a Decimal), but metrics are finite numbers"),
        (
            {"a" * 3: 0.5, 3: 0.5},
            "the evaluation returned a metric with the name 3 (a int), but names of metrics are strings",
        ),
        (
            {"\udcff": 0.5},
            "the evaluation returned a metric with the name '\\udcff' (a str), but names of metrics are 1 to 200 printable characters",
        ),
        (
            {"": 0.5},
            "the evaluation returned a metric with the name '' (a str), but names of metrics are 1 to 200 printable characters",
        ),
        (
            {"accuracy": Unshowable()},
            "the metric 'accuracy' is a Unshowable that cannot be shown, but metrics are finite numbers",
        ),
        (
            {"loss": 0.1, "time": 2},
            "the evaluation returned no metric 'accuracy', which an objective or a constraint names; it returned loss, time",
        ),
        (
            {},
            "the evaluation returned no metric 'accuracy', which an objective or a constraint names; it returned no metrics at all",
        ),
    ],
)
def test_what_is_no_measurement_says_why(returned, sentence):
    with pytest.raises(BadMetricsError) as caught:
        check(returned, ["accuracy"])
    assert str(caught.value) == sentence


def test_text_that_no_storage_can_hold_is_replaced():
    assert storable("caf\u00e9 \udcff\0 \ud800.") == "caf\u00e9 ?? ?."
