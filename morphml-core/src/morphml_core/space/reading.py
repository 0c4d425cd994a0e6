"""Reads domains as configurations write them: `{real: [0, 1]}`, `{choice: [a, b]}`, `{integer: [1, 10], log: true}`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from morphml_core.errors import SpaceError
from morphml_core.space.decisions import Decision
from morphml_core.space.domains import Choice, Domain, Integer, Real, Subset

KINDS: Mapping[str, frozenset[str]] = {
    "choice": frozenset(),
    "subset": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"log"}),
    "real": frozenset({"log"}),
}
"""The kinds of domain, and the options that each may have beside its values or bounds."""


def is_domain(value: object) -> bool:
    """Whether a value of a configuration stands for a decision: a mapping with the name of a domain as a key."""
    return isinstance(value, Mapping) and any(kind in value for kind in KINDS)


def read_domain(value: Mapping[str, Any]) -> Domain:
    """The domain that a mapping describes.  Raises `SpaceError` with a sentence (without the place)."""
    found = [kind for kind in KINDS if kind in value]
    if len(found) != 1:
        raise SpaceError(f"a decision is one of {', '.join(KINDS)}, but got {dict(value)!r}")
    kind = found[0]
    unknown = set(value) - {kind} - KINDS[kind]
    if unknown:
        allowed = ", ".join(sorted(KINDS[kind])) or "no options"
        raise SpaceError(f"{kind} has no option {', '.join(map(repr, sorted(map(str, unknown))))}; it has {allowed}")
    options = {key: option for key, option in value.items() if key != kind}
    return _READERS[kind](value[kind], options)


def read_decision(path: str, described: Any, known: Mapping[str, str]) -> Decision:
    """A decision from a domain, or from a mapping that may have `when: {other: [values]}`.

    `known` gives the paths of the decisions that `when` can name.  Raises `SpaceError` with a sentence (without the place).
    """
    if isinstance(described, Choice | Subset | Integer | Real):
        return Decision(path, described)
    if not is_domain(described):
        raise SpaceError(f"write real, integer, choice or subset, such as {{real: [0, 1]}}, but got {described!r}")
    domain = read_domain({key: value for key, value in described.items() if key != "when"})
    if "when" not in described:
        return Decision(path, domain)
    return Decision(path, domain, *_condition(described["when"], known))


def _condition(when: Any, known: Mapping[str, str]) -> tuple[str, tuple[Any, ...]]:
    if not isinstance(when, Mapping) or len(when) != 1:
        raise SpaceError(f"when names one decision and its values, such as {{y: [a]}}, but got {when!r}")
    parent, values = next(iter(when.items()))
    if parent not in known:
        raise SpaceError(f"when names '{parent}', which is no decision; {did_you_mean(str(parent), known)}")
    return known[parent], tuple(values) if isinstance(values, list | tuple) else (values,)


def _choice(values: Any, options: Mapping[str, Any]) -> Domain:
    return Choice(values)


def _subset(values: Any, options: Mapping[str, Any]) -> Domain:
    return Subset(values, **options)


def _integer(bounds: Any, options: Mapping[str, Any]) -> Domain:
    low, high = _bounds(bounds, "integer")
    return Integer(low, high, _flag(options))


def _real(bounds: Any, options: Mapping[str, Any]) -> Domain:
    low, high = (_number(bound) for bound in _bounds(bounds, "real"))
    return Real(low, high, _flag(options))


def _bounds(bounds: Any, kind: str) -> tuple[Any, Any]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise SpaceError(f"{kind} needs [low, high], but got {bounds!r}")
    return bounds[0], bounds[1]


def _flag(options: Mapping[str, Any]) -> bool:
    log = options.get("log", False)
    if not isinstance(log, bool):
        raise SpaceError(f"log is true or false, but got {log!r}")
    return log


def _number(bound: Any) -> Any:
    """YAML reads 1e-4 as text; it is a number all the same."""
    if isinstance(bound, str):
        try:
            return float(bound)
        except ValueError:
            pass
    return bound


_READERS: Mapping[str, Callable[[Any, Mapping[str, Any]], Domain]] = {
    "choice": _choice,
    "subset": _subset,
    "integer": _integer,
    "real": _real,
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest one that exists, otherwise all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names)}"


def list_complaints(name: str, values: Sequence[Any], known: Sequence[str] = ()) -> list[str]:
    """What is wrong with a list of options of a built-in space: empty, twice the same, unknown, or a number below 1."""
    if not values:
        return [f"{name}: the list is empty; give it at least one value"]
    wrong = [
        f"{name}: {value!r} is there twice; values are distinct"
        for value in sorted(set(values))
        if values.count(value) > 1
    ]
    for value in values:
        if known and value not in known:
            wrong.append(f"{name}: {value!r} is unknown; {did_you_mean(str(value), known)}")
        elif not known and value < 1:
            wrong.append(f"{name}: {value!r} is not a whole number from 1 on")
    return wrong


def range_complaints(name: str, bounds: tuple[int, int]) -> list[str]:
    """What is wrong with a range of counts of a built-in space."""
    low, high = bounds
    return [] if 1 <= low <= high else [f"{name}: {low} to {high} is no range; write [fewest, most], from 1 on"]


def rate_complaints(name: str, bounds: tuple[float, float]) -> list[str]:
    """What is wrong with a range of dropout rates of a built-in space."""
    low, high = bounds
    if 0 <= low <= high < 1:
        return []
    return [f"{name}: {low} to {high} is no range of rates; write [lowest, highest], from 0 to below 1"]
