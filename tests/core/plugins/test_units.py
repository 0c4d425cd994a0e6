import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.plugins.units import seconds, size


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (5, 5.0), (0.5, 0.5), ("500ms", 0.5), ("30s", 30.0), ("10m", 600.0), ("2h", 7200.0), ("1h30m", 5400.0),
        ("1h 30m", 5400.0), ("1.5h", 5400.0), (" 2d ", 172800.0), (0, 0.0),
    ],
)  # fmt: skip
def test_durations(written, value):
    found = seconds(written)
    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    "written", ["", "5", "m", "10 minutes", "10m!", "-5s", -1, True, None, math.inf, math.nan, [1], 10**400]
)
def test_no_durations(written):
    with pytest.raises(ValueError, match="not a duration"):
        seconds(written)


@pytest.mark.parametrize(
    ("written", "value"),
    [(7, 7), ("500MB", 500_000_000), ("2GiB", 2**31), ("1.5 kib", 1536), ("12b", 12), ("1TB", 10**12), (0, 0)],
)
def test_sizes(written, value):
    found = size(written)
    assert found == value
    assert type(found) is int


@pytest.mark.parametrize("written", ["", "2", "GiB", "2 G", "-2GiB", -1, 1.5, True, None, [1], "9" * 400 + "TB"])
def test_no_sizes(written):
    with pytest.raises(ValueError, match="not a size"):
        size(written)


@given(st.text() | st.integers() | st.floats() | st.none())
def test_anything_is_read_or_refused(value):
    for read in (seconds, size):
        with contextlib.suppress(ValueError):
            assert read(value) >= 0
