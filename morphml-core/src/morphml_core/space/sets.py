"""Operation sets by name, for spaces."""

from __future__ import annotations

from morphml_core.graph.operations import OperationSet


def vision() -> OperationSet:
    """The built-in operation set `vision`."""
    from morphml_core.operations.vision import component

    return component.create(component.config())
