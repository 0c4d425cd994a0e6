"""The space `parameters`: plain parameters without a network, for the evaluators `function` and `table`.

space:
  name: parameters
  decisions:
    x: {real: [0, 1]}
    y: {choice: [a, b]}
    z: {integer: [1, 10], log: true, when: {y: [a]}}
"""

from __future__ import annotations

from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.reading import read_decision
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
    known = {str(name): str(name) for name in config.decisions}
    for name, described in config.decisions.items():
        try:
            decisions.append(read_decision(str(name), described, known))
        except SpaceError as error:
            wrong.append(f"decisions.{name}: {error}")
    if wrong:
        raise SpaceError("\n".join(wrong))
    return SearchSpace(DecisionSpace(decisions))


component = space(Config, create)
