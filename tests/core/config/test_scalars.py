"""YAML by the core schema of 1.2; places in TOML."""

import math

import pytest

from morphml_core.config.toml import read_toml
from morphml_core.config.yaml import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1.5", 1.5), (".5", 0.5), ("-2.", -2.0), ("1_000", 1000), ("0x1f", 31), ("0o17", 15), ("+3", 3), ("-.inf", -math.inf),
        ("true", True), ("FALSE", False), ("~", None), ("null", None), ("yes", "yes"), ("on", "on"), ("No", "No"), ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"), ("'1'", "1"), ("!!str 1", "1"), ("1e", "1e"), ("10m", "10m"), ("=", "="), ("<<", "<<"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_scalars(text, value):
    found = read_yaml(text, "a.yaml").data
    assert found == value
    assert type(found) is type(value)


def test_not_a_number():
    assert math.isnan(read_yaml(".nan", "a.yaml").data)


def test_places_in_yaml():
    found = read_yaml("a:\n  b: [1,\n    2]\nc: &x\n  d: 1\ne: *x\n", "f")
    assert found.data == {"a": {"b": [1, 2]}, "c": {"d": 1}, "e": {"d": 1}}
    assert found.places == {
        (): "f:1", ("a",): "f:1", ("a", "b"): "f:2", ("a", "b", 0): "f:2", ("a", "b", 1): "f:3", ("c",): "f:4", ("c", "d"): "f:5",
        ("e",): "f:6", ("e", "d"): "f:5",
    }  # fmt: skip


TOML = '''\
a = 1 # = [
"b c".d = """
x = 1
"""
e = [1, # one
  {f = 2, g = [3,
  "]"]},
  [4.5, 1979-05-27T07:32:00]]

[h]
i = '#'
j.k = true
[h.l]
m = 1.0e-3
[[n]]
o = 1
[[n]]
o = 2
[n.p]
q = 3
'''


def test_places_in_toml():
    found = read_toml(TOML, "f")
    assert found.data == {
        "a": 1, "b c": {"d": "x = 1\n"}, "e": [1, {"f": 2, "g": [3, "]"]}, [4.5, "1979-05-27T07:32:00"]],
        "h": {"i": "#", "j": {"k": True}, "l": {"m": 0.001}}, "n": [{"o": 1}, {"o": 2, "p": {"q": 3}}],
    }  # fmt: skip
    lines = {path: int(place.removeprefix("f:")) for path, place in found.places.items()}
    assert lines == {
        (): 1, ("a",): 1, ("b c",): 2, ("b c", "d"): 2, ("e",): 5, ("e", 0): 5, ("e", 1): 6, ("e", 1, "f"): 6, ("e", 1, "g"): 6,
        ("e", 1, "g", 0): 6, ("e", 1, "g", 1): 7, ("e", 2): 8, ("e", 2, 0): 8, ("e", 2, 1): 8, ("h",): 10, ("h", "i"): 11,
        ("h", "j"): 12, ("h", "j", "k"): 12, ("h", "l"): 13, ("h", "l", "m"): 14, ("n",): 15, ("n", 0): 15, ("n", 0, "o"): 16,
        ("n", 1): 17, ("n", 1, "o"): 18, ("n", 1, "p"): 19, ("n", 1, "p", "q"): 20,
    }  # fmt: skip
