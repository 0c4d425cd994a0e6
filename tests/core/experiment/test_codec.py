import contextlib
import gc
import json
import math
from typing import get_args

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import StorageError
from morphml_core.experiment import events
from morphml_core.experiment.codec import (
    decode,
    encode,
    from_dict,
    genotype_in,
    genotype_of,
    genotype_text,
    no_collection,
    to_dict,
)
from morphml_core.problem import Budget, Cause
from morphml_core.space.decisions import Genotype
from morphml_core.testing.storage import log

NUMBERS = st.floats(allow_nan=False)
VALUES = st.one_of(st.text(), st.integers(), NUMBERS, st.booleans())
SLOTS = st.one_of(VALUES, st.none(), st.lists(VALUES, max_size=3).map(tuple))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = {
    "int": st.integers(), "float": NUMBERS, "str": st.text(), "bool": st.booleans(), "int | None": st.none() | st.integers(),
    "Cause": st.sampled_from(Cause), "Metrics": st.dictionaries(st.text(), NUMBERS, max_size=3),
    "Genotype": st.builds(Genotype, st.lists(SLOTS, max_size=6).map(tuple)),
    "Budget": st.builds(Budget, st.none() | st.integers(), NUMBERS),
    "Mapping[str, Any]": st.dictionaries(st.text(), JSON, max_size=3),
    "Mapping[str, str]": st.dictionaries(st.text(), st.text(), max_size=3),
}  # fmt: skip
EVENTS = st.one_of(
    [
        st.fixed_dictionaries({field.name: FIELDS[field.type] for field in attrs.fields(cls)}).map(
            lambda f, c=cls: c(**f)
        )
        for cls in get_args(events.Event)
    ]
)


@given(EVENTS)
def test_every_event_comes_back_equal(event):
    text = encode(event)
    assert decode(text) == event
    assert text.isascii()
    assert "\n" not in text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@given(EVENTS)
def test_the_text_is_that_of_the_dictionary(event):
    with contextlib.suppress(ValueError):  # a number that JSON does not have
        assert encode(event) == json.dumps(to_dict(event), separators=(",", ":"), allow_nan=False)


@given(st.builds(Genotype, st.lists(SLOTS, max_size=6).map(tuple)), st.text())
def test_the_genotype_is_found_in_the_text(genotype, fingerprint):
    text = encode(events.Proposed(3, genotype, fingerprint, 1.5))
    assert json.loads(genotype_in(text)) == json.loads(text)["genotype"]


@given(st.builds(Genotype, st.lists(SLOTS, max_size=6).map(tuple)))
def test_a_genotype_alone_comes_back_equal(genotype):
    assert genotype_of(genotype_text(genotype)) == genotype
    assert genotype_of(f" {genotype_text(genotype)} ") == genotype


def test_a_genotype_alone_may_hold_any_number():
    text = genotype_text(Genotype((math.inf, (1, -math.inf), np.int64(3), None)))
    assert text == '[{"$float":"inf"},[1,{"$float":"-inf"}],3,null]'
    assert genotype_of(text) == Genotype((math.inf, (1, -math.inf), 3, None))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[1", "it is not JSON (Expecting ',' delimiter: line 1 column 3 (char 2))"),
        ("[1]]", "it is not JSON (Extra data: line 1 column 4 (char 3))"),
        ("[NaN]", "it is not JSON (NaN is no JSON value)"),
        ("3", "it is '3', but should be an array of values"),
        ("[[[1]]]", "it is '[[[1]]]', but should be an array of values"),
        ('[{"a":1}]', "it is '[{\"a\":1}]', but should be an array of values"),
    ],
)
def test_what_is_no_genotype_says_why(text, why):
    with pytest.raises(StorageError) as caught:
        genotype_of(text)
    assert str(caught.value) == f"a genotype cannot be read: {why}"


def test_a_genotype_that_json_cannot_hold():
    with pytest.raises(StorageError) as caught:
        genotype_text(Genotype((1, {2})))
    assert str(caught.value) == "the genotype (1, {2}) cannot be written as JSON: {2} (a set) is no JSON value"


@given(EVENTS)
def test_dictionaries_hold_what_the_text_holds(event):
    assert from_dict(json.loads(json.dumps(to_dict(event)))) == event


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_an_event_or_a_storage_error(text):
    with pytest.raises(StorageError):
        decode(text)


@given(st.data())
def test_a_damaged_event_is_an_event_or_a_storage_error(data):
    whole = json.loads(encode(data.draw(EVENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from([*whole, "other"]))
        if data.draw(st.booleans()):
            whole.pop(key, None)
        else:
            whole[key] = data.draw(JSON)
    with contextlib.suppress(StorageError):
        event = decode(json.dumps(whole))
        assert decode(encode(event)) == event or "nan" in encode(event)


@given(EVENTS, st.data())
def test_a_cut_off_event_is_a_storage_error(event, data):
    text = encode(event)
    with pytest.raises(StorageError):
        decode(text[: data.draw(st.integers(0, len(text) - 1))])


def test_an_event_is_compact():
    event = events.Proposed(3, Genotype(("relu", None, 0.5, ("a", "b"))), "f", 1.5)
    assert encode(event) == (
        '{"type":"proposed","version":1,"number":3,"genotype":["relu",null,0.5,["a","b"]],"fingerprint":"f","time":1.5}'
    )
    event = events.Proposed(3, Genotype(()), "f", 1.5, Budget(2, 0.5), continues=1, told=2)
    assert encode(event).endswith('"time":1.5,"budget":{"epochs":2,"fraction":0.5},"continues":1,"told":2}')


def test_types_of_values_stay_what_they_are():
    genotype = Genotype((1, 1.0, True, "1", (1, 1.0, True)))
    found = decode(encode(events.Proposed(0, genotype, "", 0.0)))
    assert [type(slot) for slot in found.genotype] == [int, float, bool, str, tuple]
    assert [type(slot) for slot in found.genotype.slots[4]] == [int, float, bool]


def test_numbers_that_json_does_not_have():
    event = events.Reported(0, 1, {"a": math.inf, "b": -math.inf, "c": math.nan}, 1.0)
    assert encode(event) == (
        '{"type":"reported","version":1,"number":0,"step":1,"metrics":{"a":{"$float":"inf"},"b":{"$float":"-inf"},"c":{"$float":"nan"}},"time":1.0}'
    )
    found = decode(encode(event))
    assert found.metrics["a"] == math.inf
    assert math.isnan(found.metrics["c"])


def test_numpy_scalars_become_plain_numbers():
    genotype = Genotype((np.int64(3), np.float32(0.5), np.bool_(True)))
    event = events.Proposed(0, genotype, "", 0.0)
    assert decode(encode(event)).genotype.slots == (3, 0.5, True)
    assert decode(encode(events.Finished(0, {"a": np.float64(0.5)}, 1.0))) == events.Finished(0, {"a": 0.5}, 1.0)


def test_what_json_cannot_hold():
    with pytest.raises(StorageError) as caught:
        encode(events.Started({"f": len}, {}, 0.0))
    assert str(caught.value) == (
        "the event Started cannot be stored as JSON: <built-in function len> (a builtin_function_or_method) is no JSON value"
    )
    with pytest.raises(StorageError) as caught:
        encode("finished")
    assert str(caught.value) == "a str cannot be stored: it is no event"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "an event cannot be read: it is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("NaN", "an event cannot be read: it is not JSON (NaN is no JSON value)"),
        ("[1]", "an event cannot be read: it is [1], but an event is an object"),
        ("{}", "an event cannot be read: its version is None, but a version is a whole number from 1"),
        (
            '{"type":"finished","version":2}',
            (
                "an event of type 'finished' in format 2 cannot be read (known are formats up to 1): a newer MorphML wrote it; "
                "install that version or a later one"
            ),
        ),
        (
            '{"type":"pruned","version":1}',
            (
                "an event of type 'pruned' in format 1 cannot be read (known are formats up to 1): a newer MorphML wrote it; "
                "install that version or a later one"
            ),
        ),
        (
            '{"type":"closed","version":1,"time":1,"host":"h"}',
            "an event of type 'closed' cannot be read: it has the unknown field 'host'; a newer MorphML wrote it",
        ),
        ('{"type":"closed","version":1}', "an event of type 'closed' cannot be read: it has no 'time'"),
        (
            '{"type":"closed","version":1,"time":"now"}',
            "an event of type 'closed' cannot be read: its 'time' is 'now', but should be a number",
        ),
        (
            '{"type":"submitted","version":1,"time":1,"number":true,"attempt":1}',
            "an event of type 'submitted' cannot be read: its 'number' is True, but should be a whole number",
        ),
        (
            '{"type":"failed","version":1,"time":1,"number":1,"message":"","cause":"bored"}',
            "an event of type 'failed' cannot be read: its 'cause' is 'bored', but should be one of error, timeout, out_of_memory, invalid, lost",
        ),
        (
            '{"type":"finished","version":1,"time":1,"number":1,"metrics":{"a":"0.5"}}',
            "an event of type 'finished' cannot be read: its 'metrics' is {'a': '0.5'}, but should be an object of numbers",
        ),
        (
            '{"type":"proposed","version":1,"time":1,"number":1,"fingerprint":"","genotype":[[[1]]]}',
            "an event of type 'proposed' cannot be read: its 'genotype' is [[[1]]], but should be an array of values",
        ),
    ],
)
def test_what_is_no_event_says_why(text, sentence):
    with pytest.raises(StorageError) as caught:
        decode(text)
    assert str(caught.value) == sentence


def test_the_suite_has_every_event():
    assert {type(event) for event in log()} == set(get_args(events.Event))


def test_collection_goes_on_after_an_error():
    assert gc.isenabled()
    with contextlib.suppress(KeyError), no_collection():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off():
    gc.disable()
    try:
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
