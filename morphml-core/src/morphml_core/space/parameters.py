"""The space `parameters`: plain parameters without a network, for the evaluators `function` and `table`.

space:
  name: parameters
  decisions:
    x: {real: [0, 1]}
    y: {choice: [a, b]}
    z: {integer: [1, 10], log: true, when: {y: [a]}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.reading import did_you_mean, is_domain, read_domain
from morphml_core.space.space import SearchSpace


@attrs.frozen
class Config:
    """The parameters to search."""

    decisions: dict[str, Any]
    """Parameters by name: {real: [low, high]}, {integer: [low, high]} (both may have log: true), {choice: [...]} or
    {subset: [...]}; `when: {other: [values]}` makes one active only while another, before it, has one of those values."""


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` with one line for each parameter that is not well formed."""
    if not config.decisions:
        raise SpaceError("decisions: there is none; write at least one parameter, such as x: {real: [0, 1]}")
    decisions: list[Decision] = []
    wrong: list[str] = []
    for name, described in config.decisions.items():
        try:
            decisions.append(_decision(str(name), described, config.decisions))
        except SpaceError as error:
            wrong.append(f"decisions.{name}: {error}")
    if wrong:
        raise SpaceError("\n".join(wrong))
    return SearchSpace(DecisionSpace(decisions))


def _decision(name: str, described: Any, known: Mapping[str, Any]) -> Decision:
    if not is_domain(described):
        raise SpaceError(f"write real, integer, choice or subset, such as {{real: [0, 1]}}, but got {described!r}")
    domain = read_domain({key: value for key, value in described.items() if key != "when"})
    if "when" not in described:
        return Decision(name, domain)
    parent, values = _condition(described["when"], known)
    return Decision(name, domain, parent, values)


def _condition(when: Any, known: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    if not isinstance(when, Mapping) or len(when) != 1:
        raise SpaceError(f"when names one parameter and its values, such as {{y: [a]}}, but got {when!r}")
    parent, values = next(iter(when.items()))
    if parent not in known:
        raise SpaceError(f"when names '{parent}', which is no parameter; {did_you_mean(str(parent), map(str, known))}")
    return str(parent), tuple(values) if isinstance(values, list | tuple) else (values,)


component = space(Config, create)
