"""Operation sets by name, for spaces."""

from __future__ import annotations

from morphml_core.graph.operations import OperationSet


def vision() -> OperationSet:
    """The built-in operation set `vision`."""
    from morphml_core.operations.vision import component

    return component.create(component.config())


def tabular() -> OperationSet:
    """The built-in operation set `tabular`."""
    from morphml_core.operations.tabular import component

    return component.create(component.config())


def operation_set(name: str) -> OperationSet:
    """The installed operation set of a name (`vision`, `tabular`, or another distribution's).

    Raises `PluginError` where there is none.
    """
    from morphml_core.plugins.component import ComponentRef
    from morphml_core.plugins.loader import Loader

    part = Loader().load(ComponentRef("operations", name))
    found: OperationSet = part.create()
    return found
