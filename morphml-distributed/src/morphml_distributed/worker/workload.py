"""The workload of a worker, from what the master says of it, in this process and in its children."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from morphml_core.assembly import workload_from
from morphml_core.errors import MorphMLError
from morphml_core.problem import Outcome, Report, Task
from morphml_core.protocols import Artifacts, Checked
from morphml_core.work import Work


class UnableError(MorphMLError):
    """The workload cannot be built here; the sentence says why."""


class WorkerWorkload:
    """A workload that is rebuilt where it is unpickled: from its specification, in `folder`, with the artifacts of the master.

    `artifacts` None: the specification names a store that is reached from everywhere.
    """

    def __init__(self, specification: Mapping[str, Any], folder: Path, artifacts: Artifacts | None) -> None:
        self.specification: Mapping[str, Any] | None = specification
        self._arguments = (specification, folder, artifacts)
        self.work: Work = workload_from(specification, folder, artifacts)

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerWorkload, self._arguments

    def run(self, task: Task) -> Generator[Report, None, Outcome]:
        """Evaluate one task."""
        return self.work.run(task)

    def duration(self, task: Task) -> float | None:
        """Seconds that the task takes by what the evaluator says."""
        return self.work.duration(task)

    def epochs(self, task: Task) -> int | None:
        """The epochs of a full evaluation."""
        return self.work.epochs(task)


def built(specification: Mapping[str, Any], folder: Path, artifacts: Artifacts | None) -> WorkerWorkload:
    """The workload of a welcome, and its data looked for.  Raises `UnableError` with a sentence."""
    if not all(kind in specification for kind in ("experiment", "space", "evaluator", "artifacts")):
        raise UnableError("the master has sent no specification of the evaluation that this version can read")
    try:
        workload = WorkerWorkload(specification, folder, artifacts)
        if isinstance(workload.work.evaluator, Checked):
            workload.work.evaluator.check_data()
    except MorphMLError as error:
        raise UnableError(str(error)) from error
    except (Exception, SystemExit) as error:  # whatever the code of a component raises
        raise UnableError(f"the evaluation cannot be built here: {type(error).__name__}: {error}") from error
    return workload
