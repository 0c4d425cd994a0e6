"""The exceptions of MorphML.

Every error says what was asked, what was found and what to do.  `MorphMLError` is their base, so that a
caller can catch all of them; the command line prints them as a sentence and exits with `exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs


class MorphMLError(Exception):
    """Base of every error that MorphML raises on purpose."""

    exit_code = 2


@attrs.frozen
class Complaint:
    """One thing wrong in a configuration: where it stands and what to do about it.

    `where` is "file:line" (or a path such as "optimizer.population" when there is no file).
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigurationError(MorphMLError):
    """The configuration cannot be used.  Carries every complaint, not only the first."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints: Sequence[Complaint] = tuple(complaints)
        super().__init__("\n".join(str(complaint) for complaint in self.complaints))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.complaints,)


class SpaceError(MorphMLError):
    """A search space, a decision or a genotype is not well formed."""


class GraphError(MorphMLError):
    """A graph is not well formed, or names an unknown operation."""


class ShapeError(GraphError):
    """No tensor shape fits a node.  `node` is its index in the graph that was lowered."""

    def __init__(self, node: int, operation: str, message: str) -> None:
        self.node = node
        self.operation = operation
        self._message = message
        super().__init__(f"node {node} ({operation}): {message}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.node, self.operation, self._message)


class PluginError(MorphMLError):
    """A component cannot be found, chosen, loaded or built."""


class MissingComponentError(PluginError):
    """No installed distribution registers a component of that kind and name."""


class DuplicateComponentError(PluginError):
    """Two distributions register the same kind and name, and the configuration does not choose."""


class IncompatibleComponentError(PluginError):
    """The component's distribution needs another version of morphml-core."""


class BrokenComponentError(PluginError):
    """The component was found, but importing it failed or it is not a `Component`."""


class StorageError(MorphMLError):
    """A storage cannot be opened, read or written."""


class ConflictError(StorageError):
    """Another process has appended to this experiment: the expected index is taken."""


class HeldError(StorageError):
    """A living process holds this experiment."""


class EvaluationError(MorphMLError):
    """An evaluation failed for a known cause (a value of `morphml_core.problem.Cause`)."""

    def __init__(self, cause: str, message: str) -> None:
        self.cause = cause
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.cause, str(self))
