"""Events as JSON: `encode` and `decode` for text, `to_dict` and `from_dict` for plain dictionaries.

An event is an object with `type`, `version` and its fields; fields that have their default are left out.  A tuple
in a genotype (a subset) is an array, an infinite or undefined number is {"$float": "inf"}.  The functions of each
event class are generated once, from its attrs fields, as attrs itself does.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NoReturn, get_args

import attrs

from morphml_core.errors import StorageError
from morphml_core.experiment import events
from morphml_core.experiment.events import Event
from morphml_core.problem import Budget, Cause
from morphml_core.space.decisions import Genotype

VERSION = 1
"""The version of the format; grows when a reader of the old one would misread an event."""

_PLAIN = frozenset((int, float, str, bool, type(None)))


def encode(event: Event) -> str:
    """The event as one line of JSON.  Raises `StorageError` where it holds what JSON cannot."""
    write = _quick_writers().get(type(event))
    try:
        text = write(event) if write is not None else None
    except (ValueError, TypeError, RecursionError):
        text = None
    return _encode_carefully(event) if text is None else text


def genotype_in(text: str) -> str:
    """The array of a genotype in the line of a `Proposed`."""
    # Within a string of the array a quotation mark has a backslash before it, so this is the end.
    return text[text.index('"genotype":') + 11 : text.index(',"fingerprint":')]


def genotype_text(genotype: Genotype) -> str:
    """A genotype alone as JSON.  Raises `StorageError` where it holds what JSON cannot."""
    try:
        return _ENCODE(genotype.slots)
    except (ValueError, TypeError, RecursionError):
        pass
    try:
        return _ENCODE(_finite(genotype.slots))
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageError(f"the genotype {_shown(genotype.slots)} cannot be written as JSON: {error}") from None


def genotype_of(text: str) -> Genotype:
    """The genotype of such a text.  Raises `StorageError` for anything else."""
    try:
        return _read_genotype(_value_of(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageError(f"a genotype cannot be read: it is not JSON ({error})") from None
    except _WrongError as wrong:
        raise StorageError(f"a genotype cannot be read: it is {_shown(text)}, but should be {wrong}") from None


def _value_of(text: str) -> Any:
    """What `_DECODE` gives, sooner where there is no white space around it."""
    try:
        value, end = _SCAN(text, 0)
    except StopIteration:
        return _DECODE(text)
    return value if end == len(text) else _DECODE(text)


def _encode_carefully(event: Event) -> str:
    data = to_dict(event)
    try:
        return _ENCODE(data)
    except ValueError:
        return _ENCODE(_finite(data))
    except (TypeError, RecursionError) as error:
        raise StorageError(f"the event {type(event).__name__} cannot be stored as JSON: {error}") from None


def decode(text: str) -> Event:
    """The event of a line of JSON.  Raises `StorageError` for anything else."""
    try:
        data = _value_of(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageError(f"an event cannot be read: it is not JSON ({error})") from None
    return from_dict(data)


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect no garbage in this block: reading a log makes very many values that stay, and none of them is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def to_dict(event: Event) -> dict[str, Any]:
    """The event as a dictionary of plain values."""
    write = _writers().get(type(event))
    if write is None:
        raise StorageError(f"a {type(event).__name__} cannot be stored: it is no event")
    return write(event)


def from_dict(data: Any) -> Event:
    """The event of such a dictionary.  Raises `StorageError` with what is wrong in it."""
    if type(data) is not dict:
        raise StorageError(f"an event cannot be read: it is {_shown(data)}, but an event is an object")
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise StorageError(
            f"an event cannot be read: its version is {_shown(version)}, but a version is a whole number from 1"
        )
    kind = data.get("type")
    read = _readers().get(kind) if isinstance(kind, str) else None
    if version > VERSION or read is None:
        raise StorageError(
            f"an event of type {_shown(kind)} in format {version} cannot be read (known are formats up to {VERSION}): "
            "a newer MorphML wrote it; install that version or a later one"
        )
    return read(data)


def _plain(value: Any) -> Any:
    """What the JSON encoder asks for values that it does not know: numpy's scalars are plain numbers."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{_shown(value)} (a {type(value).__name__}) is no JSON value")


_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False, default=_plain).encode


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")


_DECODER: Any = json.JSONDecoder(parse_constant=_no_constant)
_DECODE: Callable[[str], Any] = _DECODER.decode
_SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once


def _finite(value: Any) -> Any:
    """The same data with {"$float": "nan"} for each number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, Mapping):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    if type(value) not in _PLAIN and not isinstance(value, str | int):
        return _finite(_plain(value))
    return value


def _special(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$float"} and value["$float"] in ("nan", "inf", "-inf"):
            return float(value["$float"])
        return {key: _special(held) for key, held in value.items()}
    return [_special(held) for held in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _WrongError(Exception):
    """A field cannot be read: what it should have been."""


# One reader a kind of field; raises _WrongError with what was wanted --------------------------------------------


def _read_int(value: Any) -> int:
    if type(value) is not int:
        raise _WrongError("a whole number")
    return value


def _read_float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is dict:
        value = _special(value)
    if type(value) not in (int, float):
        raise _WrongError("a number")
    try:
        return float(value)
    except OverflowError:
        raise _WrongError("a number") from None


def _read_str(value: Any) -> str:
    if type(value) is not str:
        raise _WrongError("a string")
    return value


def _read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise _WrongError("true or false")
    return value


def _read_optional_int(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise _WrongError("a whole number or null")
    return value


def _read_cause(value: Any) -> Cause:
    try:
        return Cause(value)
    except ValueError:
        raise _WrongError("one of " + ", ".join(Cause)) from None


def _read_metrics(value: Any) -> dict[str, float]:
    if type(value) is not dict:
        raise _WrongError("an object of numbers")
    try:
        return {name: held if type(held) is float else _read_float(held) for name, held in value.items()}
    except _WrongError:
        raise _WrongError("an object of numbers") from None


def _read_genotype(value: Any) -> Genotype:
    if type(value) is not list:
        raise _WrongError("an array of values")
    if not _PLAIN.issuperset(map(type, value)):
        value = [slot if type(slot) in _PLAIN else _read_slot(slot) for slot in value]
    return Genotype(tuple(value))


def _read_slot(slot: Any) -> Any:
    if type(slot) is not list or not _PLAIN.issuperset(map(type, slot)):
        slot = _special(slot)
    if type(slot) is list and _PLAIN.issuperset(map(type, slot)) and None not in slot:
        return tuple(slot)
    if type(slot) not in _PLAIN:
        raise _WrongError("an array of values")
    return slot


def _read_budget(value: Any) -> Budget:
    if type(value) is not dict or not {"epochs", "fraction"} >= value.keys():
        raise _WrongError("a budget: an object with epochs and fraction")
    return Budget(_read_optional_int(value.get("epochs")), _read_float(value.get("fraction", 1.0)))


def _read_object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _WrongError("an object")
    read: dict[str, Any] = _special(value)
    return read


def _read_strings(value: Any) -> dict[str, str]:
    if type(value) is not dict or not all(type(held) is str for held in value.values()):
        raise _WrongError("an object of strings")
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": _read_int, "float": _read_float, "str": _read_str, "bool": _read_bool, "int | None": _read_optional_int, "Cause": _read_cause,
    "Metrics": _read_metrics, "Genotype": _read_genotype, "Budget": _read_budget,
    "Mapping[str, Any]": _read_object, "Mapping[str, str]": _read_strings,
}  # fmt: skip

_WRITERS: Mapping[str, str] = {
    "Metrics": "{0} if type({0}) is dict else dict({0})", "Genotype": "{0}.slots", "Budget": "_budget({0})",
    "Cause": "{0}.value",
}  # fmt: skip
"""How a field is written, where it is not written as it is."""


def _write_budget(budget: Budget) -> dict[str, Any]:
    return {"epochs": budget.epochs, "fraction": budget.fraction}


# The generated functions -----------------------------------------------------------------------------------


def _type_of(cls: type[Any]) -> str:
    return cls.__name__.lower()


@cache
def _writers() -> Mapping[type[Any], Callable[[Any], dict[str, Any]]]:
    return {cls: _writer(cls) for cls in get_args(events.Event)}


def _writer(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """`def write(event)`: a dictionary of the required fields, then an `if` for each field with a default."""
    scope: dict[str, Any] = {"_budget": _write_budget}
    required, optional = [f"'type': {_type_of(cls)!r}, 'version': {VERSION}"], []
    for field in attrs.fields(cls):
        written = _WRITERS.get(str(field.type), "{0}").format(f"event.{field.name}")
        if field.default is attrs.NOTHING:
            required.append(f"{field.name!r}: {written}")
            continue
        scope[f"_default_{field.name}"] = {} if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
        optional.append(
            f"    if event.{field.name} is not _default_{field.name} and event.{field.name} != _default_{field.name}:"
        )
        optional.append(f"        data[{field.name!r}] = {written}")
    lines = ["def write(event):", "    data = {" + ", ".join(required) + "}", *optional, "    return data"]
    exec("\n".join(lines), scope)
    write: Callable[[Any], dict[str, Any]] = scope["write"]
    return write


@cache
def _quick_writers() -> Mapping[type[Any], Callable[[Any], str | None]]:
    return {cls: _quick_writer(cls) for cls in get_args(events.Event)}


_QUICK: Mapping[str, tuple[str, str]] = {
    "int": ("type({0}) is int", "{{{0}}}"),
    "float": ("type({0}) is float and {0} - {0} == 0.0", "{{{0}!r}}"),
    "str": ("True", "{{_quote({0})}}"),
}
"""By the type of a field: when its value `{0}` is as it should be, and how an f-string writes it then."""


def _quick_writer(cls: type[Any]) -> Callable[[Any], str | None]:
    """`def write(event)`: the text that `_encode_carefully` gives, or None where a number is not quite plain."""
    scope: dict[str, Any] = {"_budget": _write_budget, "_json": _ENCODE, "_quote": json.encoder.encode_basestring_ascii}
    text, conditions, optional = f'{{{{"type":"{_type_of(cls)}","version":{VERSION}', ["True"], []
    for field in attrs.fields(cls):
        name, kind = f"event.{field.name}", str(field.type)
        written = f"{{_json({_WRITERS.get(kind, '{0}').format(name)})}}"
        if field.default is attrs.NOTHING:
            condition, quick = _QUICK.get(kind, ("True", written))
            conditions.append(condition.format(name))
            text += f',"{field.name}":{quick.format(name) if kind in _QUICK else written}'
            continue
        default = f"_default_{field.name}"
        scope[default] = {} if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
        optional.append(f"    if {name} is not {default} and {name} != {default}:")
        optional.append(f"        text += f',\"{field.name}\":{written}'")
    lines = ["def write(event):", f"    if not ({' and '.join(conditions)}):", "        return None"]
    lines += [f"    text = f'{text}'", *optional, "    return text + '}'"]
    exec("\n".join(lines), scope)
    write: Callable[[Any], str | None] = scope["write"]
    return write


@cache
def _readers() -> Mapping[str, Callable[[dict[str, Any]], Event]]:
    return {_type_of(cls): _reader(cls) for cls in get_args(events.Event)}


def _reader(cls: type[Any]) -> Callable[[dict[str, Any]], Event]:
    """`def read(data)`: reads field after field; where anything is wrong, `_complain` finds out what."""
    scope: dict[str, Any] = {"_cls": cls, "_complain": _complain, "_WrongError": _WrongError}
    arguments = []
    for field in attrs.fields(cls):
        scope[f"_read_{field.name}"] = _READERS[str(field.type)]
        argument = f"_read_{field.name}(data[{field.name!r}])"
        if field.default is not attrs.NOTHING:
            default = "{}" if isinstance(field.default, attrs.Factory) else f"_default_{field.name}"  # type: ignore[arg-type]
            scope[f"_default_{field.name}"] = field.default
            argument += f" if {field.name!r} in data else {default}"
        arguments.append(argument)
    scope["_known"] = {"type", "version", *(field.name for field in attrs.fields(cls))}
    lines = [
        "def read(data):",
        "    if not _known >= data.keys():",
        "        _complain(_cls, data)",
        "    try:",
        "        return _cls(" + ", ".join(arguments) + ")",
        "    except (KeyError, _WrongError):",
        "        _complain(_cls, data)",
    ]
    exec("\n".join(lines), scope)
    read: Callable[[dict[str, Any]], Event] = scope["read"]
    return read


def _complain(cls: type[Any], data: dict[str, Any]) -> NoReturn:
    """Raise the `StorageError` that says what is wrong with the first bad field."""
    what = f"an event of type '{_type_of(cls)}' cannot be read"
    fields = {field.name: field for field in attrs.fields(cls)}
    for name in data:
        if name not in fields and name not in ("type", "version"):
            raise StorageError(f"{what}: it has the unknown field {_shown(name)}; a newer MorphML wrote it")
    for name, field in fields.items():
        if name not in data:
            if field.default is attrs.NOTHING:
                raise StorageError(f"{what}: it has no '{name}'")
            continue
        try:
            _READERS[str(field.type)](data[name])
        except _WrongError as wrong:
            raise StorageError(f"{what}: its '{name}' is {_shown(data[name])}, but should be {wrong}") from None
    raise StorageError(f"{what}: {_shown(data)}")  # pragma: no cover
