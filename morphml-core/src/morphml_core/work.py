"""`Work`: a space, an evaluator and a store of artifacts, joined into what an executor runs."""

from __future__ import annotations

import errno
import importlib
import os
import traceback
from collections.abc import Generator, Mapping
from time import perf_counter
from types import GeneratorType
from typing import Any

from morphml_core.errors import EvaluationError, GraphError, MorphMLError, SpaceError
from morphml_core.problem import Cause, Metrics, Outcome, Report, Task
from morphml_core.protocols import Artifacts, Evaluator, Measurement, Space, Timed, Workbench

_NO_MEMORY = ("can't allocate memory", "not enough memory", "CUDA out of memory", "CUDA error: out of memory")
_TRACE_LINES = 6
_STEPS = 2**31
_MESSAGE_LENGTH = 4000


class Work:
    """Evaluates tasks, and turns whatever goes wrong into an outcome with a cause.

    With a `specification` (JSON of the configuration) it is pickled as that, and rebuilt by `morphml_core.assembly.workload_from`;
    otherwise as its live objects, which cloudpickle can carry to another process.
    """

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator,
        artifacts: Artifacts,
        specification: Mapping[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.evaluator = evaluator
        self.artifacts = artifacts
        self.specification = specification
        self._workbench = Workbench(artifacts)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.specification is not None:
            return _from_specification, (dict(self.specification),)
        return Work, (self.space, self.evaluator, self.artifacts)

    def run(self, task: Task) -> Generator[Report, None, Outcome]:
        """Evaluate one task: yields its reports, returns its outcome.

        The outcome's duration is the time spent in here, in seconds: what the caller does between two reports does not count.
        """
        number, attempt, spent, since = task.number, task.attempt, 0.0, perf_counter()
        try:
            process = os.getpid()
            evaluation = self._start(task)
            try:
                while True:
                    try:
                        found = next(evaluation)
                    except StopIteration as end:
                        metrics = _metrics(end.value, "returned")
                        return Outcome(number, attempt, metrics, duration=spent + perf_counter() - since)
                    except (Exception, SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:  # such as GeneratorExit, which would pass for a cancelled task
                        raise EvaluationError(Cause.ERROR, f"the evaluation raised {type(error).__name__}") from error
                    report = _report(task, found)
                    spent += perf_counter() - since
                    yield report
                    since = perf_counter()
            finally:
                if os.getpid() != process:
                    os._exit(1)  # a copy of this process, forked by the evaluation, is no second search
                evaluation.close()
        except (Exception, SystemExit) as error:
            cause, message = explain(error)
            return Outcome(number, attempt, cause=cause, message=message, duration=spent + perf_counter() - since)

    def duration(self, task: Task) -> float | None:
        """Seconds that the task takes by what the evaluator says; None where it says nothing.

        A task that the evaluator cannot judge takes no time: its evaluation will say what is wrong.
        """
        if not isinstance(self.evaluator, Timed):
            return None
        try:
            return float(self.evaluator.duration(task))
        except (EvaluationError, GraphError, SpaceError):
            return 0.0

    def epochs(self, task: Task) -> int | None:
        """The epochs of a full evaluation; None where the evaluator knows no epochs."""
        return self.evaluator.budget.epochs

    def _start(self, task: Task) -> Generator[Measurement, None, Metrics]:
        evaluation = self.evaluator.evaluate(task, self.space.express(task.genotype), self._workbench)
        if type(evaluation) is not GeneratorType and not isinstance(evaluation, Generator):
            raise EvaluationError(
                Cause.ERROR,
                f"the evaluator's evaluate() returned a {type(evaluation).__name__}, not a generator; "
                "it must be a generator that yields measurements and returns the final metrics",
            )
        return evaluation


def _from_specification(specification: Mapping[str, Any]) -> Any:
    # The assembly stands above this module, so it is named, not imported.
    return importlib.import_module("morphml_core.assembly").workload_from(specification)


def _report(task: Task, found: object) -> Report:
    if not isinstance(found, Measurement):
        raise EvaluationError(
            Cause.ERROR, f"the evaluator yielded a {type(found).__name__}; it must yield a Measurement(step, metrics)"
        )
    if not 0 <= found.step < _STEPS:
        raise EvaluationError(
            Cause.ERROR, f"the evaluator yielded the step {found.step}; steps are whole numbers from 0 to {_STEPS - 1}"
        )
    return Report(task.number, task.attempt, int(found.step), _metrics(found.metrics, "yielded"))


def _metrics(found: object, verb: str) -> Metrics:
    if type(found) is not dict and not isinstance(found, Mapping):
        raise EvaluationError(
            Cause.ERROR, f"the evaluator {verb} a {type(found).__name__} as its metrics; it must be numbers by name"
        )
    return {str(name): value if type(value) is float else _number(name, value, verb) for name, value in found.items()}


def _number(name: object, value: Any, verb: str) -> float:
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise EvaluationError(
            Cause.ERROR, f"the evaluator {verb} {value!r:.200} as the metric '{name}'; it must be a number"
        ) from None


def explain(error: BaseException) -> tuple[Cause, str]:
    """The cause of a failed evaluation, and a message: a sentence, or the exception with the last lines of its traceback."""
    if isinstance(error, EvaluationError):
        return _known_cause(error), str(error)
    if _is_out_of_memory(error):
        return Cause.OUT_OF_MEMORY, _named(error)
    if isinstance(error, GraphError | SpaceError):
        return Cause.INVALID, str(error)
    if isinstance(error, SystemExit):
        return Cause.ERROR, f"the evaluation called sys.exit({error.code!r})"
    if isinstance(error, MorphMLError):
        return Cause.ERROR, str(error)
    lines = "".join(traceback.format_tb(error.__traceback__)).splitlines()[-_TRACE_LINES:]
    return Cause.ERROR, "\n".join([_named(error), *lines])


def _known_cause(error: EvaluationError) -> Cause:
    try:
        return Cause(error.cause)
    except ValueError:
        return Cause.ERROR


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _NO_MEMORY)


def _named(error: BaseException) -> str:
    text = _text(error)
    return f"{type(error).__name__}: {text}"[:_MESSAGE_LENGTH] if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception of user code, whose __str__ may itself be broken
        return "(its message cannot be shown)"
