"""Evaluator `function`: any Python callable measures the candidates.

def accuracy(candidate): ...                  # a number
def both(candidate, task): ...                # {"accuracy": 0.9, "latency_ms": 3.1}
def steps(candidate):                         # a generator: one report a yield
    for epoch in range(10):
        yield {"accuracy": ...}
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Generator, Mapping
from typing import Any

import attrs

from morphml_core.errors import EvaluationError, PluginError
from morphml_core.plugins.component import evaluator
from morphml_core.problem import Budget, Candidate, Cause, Metrics, Task
from morphml_core.protocols import Evaluation, Measurement, Space, Workbench


@attrs.frozen
class Config:
    """What to call."""

    function: Callable[..., Any]
    """The callable, or its name: `module:name` or `file.py:name`."""
    metric: str = "value"
    """The name of the metric that a plain number is."""
    epochs: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """How many steps a full evaluation has, for callables that look at `task.budget.epochs`."""
    known: Callable[..., Any] | None = None
    """A callable, given in the same way: the metrics of a candidate that need no evaluation."""


class FunctionEvaluator:
    """Calls `function(candidate)`, or `function(candidate, task)` where it takes two.

    It returns a number (the metric named `metric`) or a mapping of numbers by metric name.  Or it is a generator that
    yields such values, each a report, with an optional key `step` (else counted from 1); the result is what it returns,
    or its last report where it returns nothing.  Raises `PluginError` where it cannot be called like that.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        metric: str = "value",
        *,
        epochs: int | None = None,
        known: Callable[[Candidate], Metrics] | None = None,
    ) -> None:
        self.name = getattr(function, "__qualname__", type(function).__qualname__)
        self._function = _callable(function)
        self._takes_task = _takes_task(function, self.name)
        self._metric = metric
        self._known = None if known is None else _callable(known)
        self.budget = Budget(epochs)

    def known(self, candidate: Candidate) -> Metrics:
        """What the callable `known` says; empty without one."""
        return {} if self._known is None else self._known(candidate)

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """Call the function.  Raises `EvaluationError` where what it gives is no measurement."""
        result = self._function(candidate, task) if self._takes_task else self._function(candidate)
        if type(result) is not float and isinstance(result, Generator):
            return (yield from self._steps(result))
        return self._metrics(result, "returned")

    def _steps(self, steps: Generator[Any, None, Any]) -> Evaluation:
        last = Measurement(0, {})
        try:
            while True:
                try:
                    last = self._measurement(next(steps), last.step)
                except StopIteration as end:
                    return self._result(end.value, last)
                yield last
        finally:
            steps.close()

    def _measurement(self, found: Any, before: int) -> Measurement:
        step: Any = before + 1
        if isinstance(found, Mapping) and "step" in found:
            step = found["step"]
            found = {name: value for name, value in found.items() if name != "step"}
        if isinstance(step, bool) or not isinstance(step, numbers.Integral) or step <= before:
            raise self._error(
                f"yielded the step {step!r} after step {before}; steps are whole numbers that grow, from 1"
            )
        return Measurement(int(step), self._metrics(found, "yielded"))

    def _result(self, returned: Any, last: Measurement) -> Metrics:
        if returned is not None:
            return self._metrics(returned, "returned")
        if last.step == 0:
            raise self._error("yielded nothing and returned nothing; yield or return its metrics")
        return last.metrics

    def _metrics(self, found: Any, verb: str) -> Metrics:
        if type(found) is float and math.isfinite(found):
            return {self._metric: found}
        metrics = found if isinstance(found, Mapping) else {self._metric: found}
        return {self._name(name, verb): self._number(value, name, verb) for name, value in metrics.items()}

    def _name(self, name: Any, verb: str) -> str:
        if not isinstance(name, str):
            raise self._error(f"{verb} {name!r} ({type(name).__name__}) as the name of a metric; names are strings")
        return name

    def _number(self, value: Any, name: str, verb: str) -> float:
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            found = f"{value!r:.200} ({type(value).__name__})"
            raise self._error(
                f"{verb} {found} as {name}; give a number, or a dictionary of numbers by metric"
            ) from None
        if not math.isfinite(number):
            raise self._error(f"{verb} {number} as {name}; metrics are finite numbers")
        return number

    def _error(self, message: str) -> EvaluationError:
        return EvaluationError(Cause.ERROR, f"the function '{self.name}' {message}")


def _callable(function: Any) -> Callable[..., Any]:
    if not callable(function):
        raise PluginError(
            f"{function!r:.200} ({type(function).__name__}) cannot be called; give a function of (candidate)"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(
            f"the function '{function.__name__}' is async; give a plain function, which may call asyncio.run"
        )
    return function  # type: ignore[no-any-return]


def _takes_task(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return False
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in places if p.default is p.empty]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(needed) > 2 or keywords or not (places or open_ended):
        takes = ", ".join(needed + keywords) or "no arguments"
        raise PluginError(f"the function '{name}' takes ({takes}); it is called with (candidate) or (candidate, task)")
    return len(needed) == 2 or (len(places) >= 2 and places[1].name == "task")


def create(config: Config, space: Space) -> FunctionEvaluator:
    """The evaluator of a configuration."""
    return FunctionEvaluator(config.function, config.metric, epochs=config.epochs, known=config.known)


component = evaluator(Config, create)
