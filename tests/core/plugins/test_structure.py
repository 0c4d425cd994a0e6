import enum
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import SpaceError
from morphml_core.plugins.structure import Misfit, Structurer, type_name
from morphml_core.plugins.units import Bytes, Seconds
from morphml_core.space.domains import Choice, Real


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Inner:
    low: int = 0
    names: tuple[str, ...] = ()


def _even(value):
    if value % 2:
        raise SpaceError(f"{value} is odd; write an even number")
    return value


@attrs.frozen
class Options:
    count: int
    rate: float = attrs.field(default=0.1, validator=[attrs.validators.gt(0), attrs.validators.lt(1)])
    goal: Literal["maximize", "minimize"] = "maximize"
    even: int = attrs.field(default=0, converter=_even)
    inner: Inner = attrs.field(factory=Inner)
    more: dict[str, list[Inner]] = attrs.field(factory=dict)
    _private: bool = False
    computed: int = attrs.field(init=False, default=4)

    def __attrs_post_init__(self):
        if self.count > 100:
            raise ValueError("count and rate do not go together")


def structure(value, type_):
    return Structurer().structure(value, type_)


def complaints(value, type_):
    with pytest.raises(Misfit) as found:
        structure(value, type_)
    return [str(fault.complaint("it", {}, "")) for fault in found.value.faults]


@pytest.mark.parametrize(
    ("value", "type_", "result"),
    [
        (3, int, 3), (3, float, 3.0), ("1e-3", float, 0.001), ("2.5E6", float, 2.5e6), (True, bool, True), ("x", str, "x"),
        (None, int | None, None), (3, int | None, 3), ("10m", Seconds, 600.0), ("2GiB", Bytes, 2**31), ("5s", Seconds | None, 5.0),
        ("a", Literal["a", "b"], "a"), ("red", Colour, Colour.RED), (Colour.RED, Colour, Colour.RED), ([1, 2], list[int], [1, 2]),
        ([1, 2], tuple[int, ...], (1, 2)), ([1, "a"], tuple[int, str], (1, "a")), ([1], Sequence[float], (1.0,)),
        ([1, 1], set[int], {1}), ({"a": 1}, dict[str, float], {"a": 1.0}), ({3: "x"}, Mapping[int, str], {3: "x"}),
        (1, float | int, 1), (1, bool | int | float | str, 1), (True, int | bool, True), ({"x": [1]}, Any, {"x": [1]}),
        ("a/b", Path, Path("a/b")), (Path("c"), Path, Path("c")), ({"low": 2}, Inner, Inner(2)), (Inner(5), Inner, Inner(5)),
        (["a", "b"], str | list[str], ["a", "b"]), (len, Callable[..., Any], len), ("math:sqrt", Callable[[float], float], __import__("math").sqrt),
        ({"values": [1, 2]}, Choice, Choice((1, 2))), ({"low": 0, "high": 1}, Real, Real(0, 1)),
    ],
)  # fmt: skip
def test_what_fits(value, type_, result):
    found = structure(value, type_)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("value", "type_", "message"),
    [
        ("3", int, "must be a whole number, but it is '3' (a string)"),
        (True, int, "must be a whole number, but it is true (a boolean)"),
        (3.0, int, "must be a whole number, but it is 3.0 (a number)"),
        ("3", float, "must be a number, but it is '3' (a string)"),
        ("1e", float, "must be a number, but it is '1e' (a string)"),
        (False, float, "must be a number, but it is false (a boolean)"),
        (10**400, float, "must be a number, but it is about 2**1329 (a whole number)"),
        (1, bool, "must be true or false, but it is 1 (a whole number)"),
        (None, str, "must be a string, but it is empty (null)"),
        (5, str, "must be a string, but it is 5 (a whole number)"),
        ("x" * 99, int, f"must be a whole number, but it is '{'x' * 55}...' (a string)"),
        ("10 m!", Seconds, "must be a duration (seconds, or text such as 30s, 10m, 2h), but it is '10 m!' (a string)"),
        (1.5, Bytes, "must be a size (bytes, or text such as 500MB, 2GiB), but it is 1.5 (a number)"),
        ("maximise", Literal["maximize", "minimize"], "must be one of 'maximize', 'minimize', but it is 'maximise' (a string); did you mean 'maximize'?"),
        (1, Literal[True], "must be True, but it is 1 (a whole number)"),
        ("green", Colour, "must be one of 'red', 'blue', but it is 'green' (a string)"),
        ("abc", list[str], "must be a list, but it is 'abc' (a string)"),
        ({"a": 1}, list[Inner], "must be a list of mappings, but it is a mapping"),
        ([1], tuple[int, int], "must have 2 values, but it has 1"),
        ([[1]], set[Any], "must be a list of plain values, but it is a list"),
        ([1], dict[str, int], "must be a mapping, but it is a list"),
        ([], int | str, "must be a whole number or a string, but it is a list"),
        (5, Path, "must be a path, but it is 5 (a whole number)"),
        ("a\0", Path, "must be a path, but it is 'a\\x00' (a string)"),
        (5, Callable[..., Any], "must be a function, or its name (module:name or file.py:name), but it is 5 (a whole number)"),
        ("nothing", Callable[..., Any], "does not fit: 'nothing' names no Python object; write module:name or file.py:name"),
        (5, Inner, "must be a mapping of options, but it is 5 (a whole number)"),
        ({"values": []}, Choice, "'values' does not fit: a choice has no values; give it at least one"),
    ],
)  # fmt: skip
def test_what_does_not_fit(value, type_, message):
    assert complaints(value, type_) == [f"it: {message}" if message.startswith("'") else f"it {message}"]


def test_keys_that_are_whole_numbers_may_be_text_as_in_json():
    assert structure({"12": 1, 3: 2}, dict[int, int]) == {12: 1, 3: 2}
    assert complaints({"12": 1, 12: 2}, dict[int, int]) == ["it has the key 12 twice"]
    assert complaints({"x": 1}, dict[int, int]) == ["it: 'x' must be a whole number, but it is 'x' (a string)"]
    assert len(complaints({"x": 1, "y": 1}, dict[int, int])) == 2
    assert complaints({1: 1}, dict[str, int]) == ["it: '[1]' must be a string, but it is 1 (a whole number)"]


def test_every_fault_is_told():
    value = {
        "counts": 3, "rate": 1.5, "goal": "up", "even": 3, "inner": {"low": "a", "names": ["x", 5], "hgih": 2},
        "more": {"first": [{"low": 1}, {"low": None}], "second": 4}, "private": "yes", "computed": 5,
    }  # fmt: skip
    assert complaints(value, Options) == [
        "it has no option 'counts'; did you mean 'count'?",
        "it has no option 'computed'; did you mean 'count'?",
        "it needs the option 'count' (a whole number)",
        "it: 'rate' must be < 1: 1.5",
        "it: 'goal' must be one of 'maximize', 'minimize', but it is 'up' (a string)",
        "it: 'even' does not fit: 3 is odd; write an even number",
        "it: 'inner' has no option 'hgih'; it has low, names",
        "it: 'inner.low' must be a whole number, but it is 'a' (a string)",
        "it: 'inner.names[1]' must be a string, but it is 5 (a whole number)",
        "it: 'more.first[1].low' must be a whole number, but it is empty (null)",
        "it: 'more.second' must be a list of mappings, but it is 4 (a whole number)",
        "it: 'private' must be true or false, but it is 'yes' (a string)",
    ]


def test_options_that_do_not_go_together():
    assert complaints({"count": 101}, Options) == ["it does not fit: count and rate do not go together"]


def test_a_fault_stands_where_it_was_written():
    with pytest.raises(Misfit) as found:
        structure({"count": 1, "inner": {"low": "a"}, "x": 2}, Options)
    places = {(): "f:1", ("inner",): "f:3", ("x",): "f:9"}
    assert [fault.complaint("it", places, "").where for fault in found.value.faults] == ["f:9", "f:3"]


def test_relative_paths_are_below_the_base():
    assert Structurer(base=Path("/data")).structure("a.csv", Path) == Path("/data/a.csv")
    assert Structurer(base=Path("/data")).structure("/a.csv", Path) == Path("/a.csv")
    assert Structurer(base=Path("/data")).structure("~/a.csv", Path) == Path.home() / "a.csv"


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (int | None, "a whole number"),
        (list[Inner], "a list of mappings"),
        (Any, "a value"),
        (Literal["a"], "'a'"),
        (Path, "a path"),
    ],
)
def test_types_in_words(type_, text):
    assert type_name(type_) == text


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["count", "10m", "1e5", "red"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([f.alias for f in attrs.fields(Options)]) | st.text(max_size=3) | st.integers(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_any_value_fits_or_is_refused_with_sentences(value):
    for type_ in (
        Options,
        Inner,
        float,
        Seconds,
        Bytes | None,
        dict[str, int],
        tuple[int, ...],
        set[Any],
        Colour,
        Path,
        Choice,
        Real,
    ):
        faults = ()
        try:
            structure(value, type_)
        except Misfit as misfit:
            faults = misfit.faults or (None,)
        assert all(fault.text for fault in faults)


@attrs.frozen
class Bounds:
    low: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    high: int = attrs.field(default=5, validator=attrs.validators.le(9))

    @high.validator
    def _above(self, attribute, value):
        if value < self.low:
            raise ValueError(f"'high' must be >= low ({self.low}): {value}")


def test_a_validator_that_looks_at_another_option_too():
    assert structure({"low": 2, "high": 3}, Bounds) == Bounds(2, 3)
    assert complaints({"low": 4, "high": 3}, Bounds) == ["it: 'high' must be >= low (4): 3"]
    assert complaints({"low": -1, "high": 12}, Bounds) == [
        "it: 'low' must be >= 0: -1",
        "it: 'high' must be <= 9: 12",
    ]
