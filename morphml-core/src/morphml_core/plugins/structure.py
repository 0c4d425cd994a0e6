"""Plain values of a configuration to attrs classes: strictly, and with every complaint at once.

cattrs chooses what to do by type; the rules for each are here, since a person should read what is wrong with the option, not
with the type: nothing is converted silently (no number from text, no whole number from true), except a float from a whole number,
and from the text "1e-3", `Path` and enumerations from text, and the types of `units.py`.
"""

from __future__ import annotations

import collections.abc
import enum
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs import Converter

from morphml_core.errors import Complaint, MorphMLError
from morphml_core.plugins.component import Part
from morphml_core.plugins.refs import Place, place_of
from morphml_core.plugins.units import Bytes, Seconds, seconds, size
from morphml_core.plugins.words import article, dotted, nearest, shown


@attrs.frozen
class Fault:
    """One thing wrong: at which path, with the rest of a sentence whose subject is the option there ("must be ...").

    `path` is where it stands; `subject` the part of it that the sentence names.  A fault of a nested component comes as a
    whole sentence, `message`, and may bring its place, `where`.
    """

    path: Place
    text: str
    subject: Place = ()
    message: str = ""
    where: str = ""

    def complaint(self, owner: str, places: Mapping[Place, str], where: str) -> Complaint:
        """The complaint, with the place where it was written."""
        subject = f"{owner}: '{dotted(self.subject)}'" if self.subject else owner
        return Complaint(self.where or place_of(places, self.path, where), self.message or f"{subject} {self.text}")


class Misfit(Exception):  # noqa: N818 - no error that leaves this package
    """A value does not fit its type; carries every fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{dotted(fault.path)} {fault.text}" for fault in faults))


PartReader = Callable[[str, Any, Place], Part[Any]]
"""Makes the part of a kind from a value at a path; raises `Misfit`."""


class Structurer:
    """Structures plain values into types.  `part` reads fields that name a component; `base` is the folder of relative paths.

    Not to be shared between threads: it keeps the path of the value that it is at.
    """

    def __init__(self, part: PartReader | None = None, base: Path | None = None) -> None:
        self._part = part
        self._base = base
        self._path: list[str | int] = []
        self._converter = _converter(self)

    def structure(self, value: Any, type_: Any) -> Any:
        """The value as an instance of a type.  Raises `Misfit` with all faults."""
        return self._converter.structure(value, type_)

    def at(self, key: str | int, value: Any, type_: Any, faults: list[Fault]) -> Any:
        """The value below a key, or None after adding its faults."""
        with self.inside(key):
            try:
                return self.structure(value, type_)
            except Misfit as misfit:
                faults.extend(misfit.faults)
        return None

    @contextmanager
    def inside(self, key: str | int) -> Iterator[None]:
        """Be at the value below a key."""
        self._path.append(key)
        try:
            yield
        finally:
            self._path.pop()

    def fault(self, text: str, *more: str | int) -> Fault:
        """A fault of the current value; `more` leads to a key of it that was written but should not be there."""
        return Fault((*self._path, *more), text, tuple(self._path))

    def refuse(self, needed: str, value: Any) -> Misfit:
        """What to raise where a value is not what is needed."""
        return Misfit([self.fault(f"must be {needed}, but it is {shown(value)}")])

    def read_class(self, value: Any, cls: type[Any]) -> Any:
        """An instance of an attrs class from a mapping."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise self.refuse("a mapping of options", value)
        fields = {field.alias: field for field in attrs.fields(cls) if field.init}
        faults = [self.fault(unknown(key, fields), key) for key in value if key not in fields]
        known = {}
        for name, field in fields.items():
            found = self._field(cls, field, value, faults)
            if found is not attrs.NOTHING:
                known[name] = found
        if faults:
            raise Misfit(faults)
        try:
            return cls(**known)
        except EXPECTED as error:
            raise Misfit(self._refusal(error, fields)) from None

    def _field(self, cls: type[Any], field: attrs.Attribute[Any], value: Mapping[str, Any], faults: list[Fault]) -> Any:
        """The value of a field, NOTHING where its default serves or after adding faults."""
        name = str(field.alias)
        kind: str = field.metadata.get("morphml.kind", "")
        default = field.metadata.get("morphml.default")
        if name not in value or (kind and value[name] is None):
            if default is not None:
                return self._read_part(kind, default, name, faults)
            if field.default is attrs.NOTHING:
                needed = article(kind) if kind else type_name(annotation_of(cls, field))
                faults.append(self.fault(f"needs the option '{name}' ({needed})"))
            return attrs.NOTHING
        if kind:
            return self._read_parts(kind, value[name], name, field, faults)
        before = len(faults)
        found = self.at(name, value[name], annotation_of(cls, field), faults)
        if len(faults) > before:
            return attrs.NOTHING
        with self.inside(name):
            if field.metadata.get("morphml.reference") and isinstance(found, str):
                found = self._absolute(found)
            faults.extend(self._checks(field, found))
        return found

    def _checks(self, field: attrs.Attribute[Any], value: Any) -> list[Fault]:
        """What a field's own converter and validator say, so that every option is heard and not only the first that raises."""
        try:
            if callable(field.converter) and not isinstance(field.converter, attrs.Converter):
                value = field.converter(value)
            if field.validator is not None and type(field.validator).__module__.startswith("attr."):
                field.validator(None, field, value)
        except EXPECTED as error:
            return self._refusal(error)
        except AttributeError:
            return []  # One of the validators looks at other options of its instance: it runs when there is one.
        return []

    def _refusal(self, error: Exception, fields: Iterable[str] = ()) -> list[Fault]:
        """The faults in the message of an exception, one a line.  A line may begin with the option it is about, in quotes."""
        message = str(error.args[0]) if error.args and not isinstance(error, MorphMLError) else str(error)
        return [self._line(line, fields) for line in message.splitlines() or [type(error).__name__]]

    def _line(self, line: str, fields: Iterable[str]) -> Fault:
        found = re.match(r"'(\w+)' (.*)", line)
        if found and self._path and found[1] == self._path[-1]:
            return self.fault(found[2])
        if found and found[1] in fields:
            with self.inside(found[1]):
                return self.fault(found[2])
        return self.fault(f"does not fit: {line}")

    def _read_parts(self, kind: str, value: Any, name: str, field: attrs.Attribute[Any], faults: list[Fault]) -> Any:
        annotation = str(field.type)
        if not annotation.startswith(("tuple[", "list[", "Sequence[")):
            return self._read_part(kind, value, name, faults)
        if not isinstance(value, list | tuple):
            with self.inside(name):
                faults.append(self.fault(f"must be a list of components of kind {kind}, but it is {shown(value)}"))
            return attrs.NOTHING
        with self.inside(name):
            parts = [self._read_part(kind, element, index, faults) for index, element in enumerate(value)]
        return attrs.NOTHING if attrs.NOTHING in parts else tuple(parts)

    def _read_part(self, kind: str, value: Any, key: str | int, faults: list[Fault]) -> Any:
        assert self._part is not None, "this structurer reads no parts"
        with self.inside(key):
            try:
                return self._part(kind, value, tuple(self._path))
            except Misfit as misfit:
                faults.extend(misfit.faults)
        return attrs.NOTHING

    def _absolute(self, reference: str) -> str:
        """A reference `file.py:name` with the file below the base folder."""
        source, colon, name = reference.rpartition(":")
        return f"{self._base / source}{colon}{name}" if self._base and source.endswith(".py") else reference

    def read_path(self, value: Any, _: Any) -> Path:
        """A path; a relative one is below the base folder, where there is one."""
        if isinstance(value, Path):
            return value
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.refuse("a path", value)
        path = Path(value).expanduser() if value.startswith("~/") else Path(value)
        return self._base / path if self._base else path

    def read_list(self, value: Any, type_: Any) -> Any:
        """A list, tuple, set or sequence of a type, or a tuple of several types."""
        if not isinstance(value, list | tuple | set | frozenset):
            raise self.refuse(type_name(type_), value)
        origin, inner = get_origin(type_) or type_, get_args(type_)
        values = list(value)
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            if len(values) != len(inner):
                raise Misfit([self.fault(f"must have {len(inner)} values, but it has {len(values)}")])
            wanted: Sequence[Any] = inner
        else:
            wanted = [inner[0] if inner else Any] * len(values)
        faults: list[Fault] = []
        found = [self.at(index, *pair, faults) for index, pair in enumerate(zip(values, wanted, strict=True))]
        if faults:
            raise Misfit(faults)
        make = {list: list, set: set, frozenset: frozenset, collections.abc.Set: frozenset}.get(origin, tuple)
        try:
            return make(found)
        except TypeError:
            raise self.refuse(f"{type_name(type_)} of plain values", value) from None

    def read_mapping(self, value: Any, type_: Any) -> dict[Any, Any]:
        """A mapping of a type of keys to a type of values."""
        if not isinstance(value, Mapping):
            raise self.refuse("a mapping", value)
        key_type, value_type = get_args(type_) or (Any, Any)
        faults: list[Fault] = []
        found: dict[Any, Any] = {}
        for key, each in value.items():
            read_key = self.at(key, _whole_key(key) if key_type is int else key, key_type, faults)
            if read_key is not None and read_key in found:
                faults.append(self.fault(f"has the key {read_key!r} twice", key))
            found[read_key] = self.at(key, each, value_type, faults)
        if faults:
            raise Misfit(faults)
        return found

    def read_union(self, value: Any, type_: Any) -> Any:
        """The first member that fits; a member of exactly the value's type comes before the others."""
        members = get_args(type_)
        if value is None and type(None) in members:
            return None
        others = [member for member in members if member is not type(None)]
        if isinstance(value, Mapping):
            others = [member for member in others if attrs.has(member)] or others
        if len(others) == 1:
            return self.structure(value, others[0])
        for member in sorted(others, key=lambda member: type(value) is not member):
            try:
                return self.structure(value, member)
            except Misfit:
                continue
        raise self.refuse(type_name(type_), value)

    def read_choice(self, value: Any, type_: Any) -> Any:
        """One of the values of a `Literal`, or of an enumeration."""
        choices: dict[Any, Any]
        if isinstance(type_, enum.EnumMeta):
            if isinstance(value, type_):
                return value
            choices = {member.value: member for member in list[Any](type_)}
        else:
            choices = {choice: choice for choice in get_args(type_)}
        for choice, meaning in choices.items():
            if choice == value and type(choice) is type(value):
                return meaning
        near = nearest(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else None
        hint = f"; did you mean '{near}'?" if near else ""
        raise Misfit([self.fault(f"must be {type_name(type_)}, but it is {shown(value)}{hint}")])

    def read_callable(self, value: Any, _: Any) -> Any:
        """Something to call; text names it, as `module:name` or `file.py:name`."""
        from morphml_core.plugins.reference import resolve

        if isinstance(value, str):
            try:
                value = resolve(self._absolute(value))
            except MorphMLError as error:
                raise Misfit([self.fault(f"does not fit: {error}")]) from None
        if not callable(value):
            raise self.refuse("a function, or its name (module:name or file.py:name)", value)
        return value


EXPECTED = (MorphMLError, ValueError, TypeError, KeyError, IndexError, ArithmeticError)
"""What a config class may raise about its values."""


def unknown(name: Any, known: Mapping[str, Any]) -> str:
    """What to say of an option that does not exist: the rest of a sentence."""
    near = nearest(str(name), known)
    if near:
        return f"has no option '{name}'; did you mean '{near}'?"
    if known:
        return f"has no option '{name}'; it has {', '.join(known)}"
    return f"has no option '{name}'; it takes none"


def _converter(own: Structurer) -> Converter:
    converter = Converter()

    def strict(needed: str, read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        def structure(value: Any, _: Any) -> Any:
            try:
                return read(value)
            except (ValueError, OverflowError):
                raise own.refuse(needed, value) from None

        return structure

    for type_, needed, read in _SCALARS:
        converter.register_structure_hook(type_, strict(needed, read))
    converter.register_structure_hook(Path, own.read_path)
    for matches, hook in (
        (attrs.has, own.read_class),
        (_is_list, own.read_list),
        (_is_mapping, own.read_mapping),
        (_is_choice, own.read_choice),
        (_is_callable, own.read_callable),
        (_is_union, own.read_union),
        (lambda type_: type_ is Any or type_ is object, lambda value, _: value),
    ):
        converter.register_structure_hook_func(matches, hook)
    return converter


def _whole_key(key: Any) -> Any:
    """A whole number for its text: JSON and TOML have no other keys than text."""
    return int(key) if isinstance(key, str) and re.fullmatch(r"-?[0-9]{1,18}", key) else key


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError
    return value


def _real(value: Any) -> float:
    if isinstance(value, str) and "e" in value.lower() and not value[-1:].isalpha():
        return float(value)  # other readers of YAML take 1e-3 for text
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise ValueError


_SCALARS: Sequence[tuple[Any, str, Callable[[Any], Any]]] = (
    (bool, "true or false", _boolean),
    (int, "a whole number", _whole),
    (float, "a number", _real),
    (str, "a string", _text),
    (type(None), "empty", _nothing),
    (Seconds, "a duration (seconds, or text such as 30s, 10m, 2h)", seconds),
    (Bytes, "a size (bytes, or text such as 500MB, 2GiB)", size),
)


def _is_list(type_: Any) -> bool:
    origin = get_origin(type_) or type_
    return origin in (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)


def _is_mapping(type_: Any) -> bool:
    return (get_origin(type_) or type_) in (dict, collections.abc.Mapping)


def _is_choice(type_: Any) -> bool:
    return get_origin(type_) is Literal or (isinstance(type_, type) and issubclass(type_, enum.Enum))


def _is_callable(type_: Any) -> bool:
    return (get_origin(type_) or type_) is collections.abc.Callable


def _is_union(type_: Any) -> bool:
    return get_origin(type_) in (Union, types.UnionType)


def annotation_of(cls: type[Any], field: attrs.Attribute[Any]) -> Any:
    """The type of a field.  Text is read in the module of the class that has it; what is not there (a type that is
    imported for type checkers only) is Any.
    """
    if field.metadata.get("morphml.kind") or field.type is None:
        return field.type
    if not isinstance(field.type, str):
        return field.type
    home = next((base for base in cls.__mro__ if field.name in vars(base).get("__annotations__", {})), cls)
    names = {**vars(typing), **vars(sys.modules.get(home.__module__, types))}
    try:
        return eval(field.type, names)
    except (NameError, AttributeError, SyntaxError, TypeError):
        return Any


def type_name(type_: Any) -> str:
    """A type in words: "a whole number", "a list", "one of 'a', 'b'"."""
    for scalar, needed, _ in _SCALARS:
        if type_ is scalar:
            return needed
    if _is_choice(type_):
        values = get_args(type_) or [member.value for member in type_]
        return f"one of {', '.join(map(repr, values))}" if len(values) > 1 else repr(values[0])
    if _is_union(type_):
        return " or ".join(type_name(member) for member in get_args(type_) if member is not type(None))
    if _is_list(type_):
        inner = get_args(type_)[:1]
        return "a list of mappings" if inner and attrs.has(inner[0]) else "a list"
    if _is_mapping(type_) or attrs.has(type_):
        return "a mapping"
    if type_ is Path:
        return "a path"
    if _is_callable(type_):
        return "a function, or its name"
    return "a value"
