import pickle

import pytest

from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.refs import Located, below, place_of, read_ref


@pytest.mark.parametrize(
    ("value", "name", "options"),
    [
        ("random", "random", {}),
        ("my-dist:random", "my-dist:random", {}),
        ({"name": "random", "a": 1}, "random", {"a": 1}),
        ("sqlite:///digits.db", "sqlite", {"url": "sqlite:///digits.db"}),
        ("postgresql+psycopg://host/db", "postgresql", {"url": "postgresql+psycopg://host/db"}),
        ("S3://bucket/x", "s3", {"url": "S3://bucket/x"}),
        ({"python": "a.py:b", "c": 1}, "python", {"python": "a.py:b", "c": 1}),
    ],
)
def test_references(value, name, options):
    assert read_ref("storage", value, {(): "a.yaml:3"}) == ComponentRef("storage", name, options, "a.yaml:3")


def test_a_live_object():
    made = object()
    assert read_ref("space", made).options == {"python": made}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "must be the name of an optimizer, or a mapping with 'name', but it is empty (null)"),
        (5, "must be the name of an optimizer, or a mapping with 'name', but it is 5 (a whole number)"),
        (["a"], "must be the name of an optimizer, or a mapping with 'name', but it is a list"),
        (" ", "must be the name of an optimizer, but it is ' ' (a string)"),
        ({}, "needs 'name', the name of an optimizer (or 'python', an object of yours)"),
        ({"name": 3}, "needs a string as 'name', but it is 3 (a whole number)"),
        ({"name": "a", "python": "b"}, "has both 'name' and 'python'; keep one of them"),
        ({"name": "a", 5: 1}, "has the option 5; options have names that are strings"),
    ],
)
def test_no_references(value, message):
    with pytest.raises(ValueError) as found:
        read_ref("optimizer", value)
    assert str(found.value) == message


def test_places():
    places = {(): "1", ("a",): "2", ("a", 0, "b"): "3"}
    assert place_of(places, ("a", 0, "b", "c")) == "3"
    assert place_of(places, ("a", 1)) == "2"
    assert place_of({}, ("a",), "x") == "x"
    assert below(places, ("a",)) == {(): "2", (0, "b"): "3"}


def test_options_travel_with_their_places():
    options = Located({"a": [1]}, {("a",): "x:1"})
    copy = pickle.loads(pickle.dumps(options))
    assert copy == {"a": [1]}
    assert copy.places == {("a",): "x:1"}
