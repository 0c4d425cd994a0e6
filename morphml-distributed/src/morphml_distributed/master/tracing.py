"""An OpenTelemetry span of each task, from its submission to its end, with what happened to it on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from morphml_core.errors import MorphMLError
from morphml_core.problem import Outcome, Report, Task
from morphml_distributed.dispatch.messages import Note

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span


class Spans:
    """An observer.  The environment variables of OpenTelemetry say where spans go, unless a `processor` is given.

    Raises `MorphMLError` where the extra `tracing` is not installed.
    """

    frequent = True

    def __init__(self, experiment: str, processor: SpanProcessor | None = None) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
        except ImportError:
            raise MorphMLError("tracing needs OpenTelemetry: pip install 'morphml-distributed[tracing]'") from None
        resource = Resource.create({"service.name": "morphml", "morphml.experiment": experiment})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or _exported())
        self._tracer = self._provider.get_tracer("morphml_distributed")
        self._spans: dict[int, Span] = {}

    def submitted(self, task: Task) -> None:
        """A span begins."""
        former = self._spans.pop(task.number, None)
        if former is not None:
            former.end()
        attributes = {"morphml.trial": task.number, "morphml.attempt": task.attempt}
        self._spans[task.number] = self._tracer.start_span("trial", attributes=attributes)

    def noted(self, note: Note) -> None:
        """An event of the span."""
        span = None if note.trial is None else self._spans.get(note.trial)
        if span is not None:
            attributes: dict[str, str | int] = {"morphml.worker": note.worker, "morphml.text": note.text}
            span.add_event(note.kind, attributes)

    def delivered(self, message: Report | Outcome) -> None:
        """An event for a report; the end of the span for an outcome."""
        span = self._spans.get(message.number)
        if span is None:
            return
        if isinstance(message, Report):
            span.add_event(
                "report",
                {"morphml.step": message.step, **{f"metric.{name}": value for name, value in message.metrics.items()}},
            )
            return
        del self._spans[message.number]
        self._end(span, message)

    def _end(self, span: Span, outcome: Outcome) -> None:
        from opentelemetry.trace import StatusCode

        span.set_attribute("morphml.worker", outcome.worker)
        span.set_attribute("morphml.duration", outcome.duration)
        if outcome.cause is not None:
            span.set_attribute("morphml.cause", str(outcome.cause))
            span.set_status(StatusCode.ERROR, outcome.message[:1000])
        elif outcome.metrics is not None:
            span.set_status(StatusCode.OK)
        span.end()

    def flush(self) -> None:
        """The exporter has a thread of its own."""

    def close(self) -> None:
        """End what is open, and send everything."""
        for span in self._spans.values():
            span.end()
        self._spans.clear()
        self._provider.shutdown()


def _exported() -> SpanProcessor:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MorphMLError(
            "tracing needs OpenTelemetry's exporter: pip install 'morphml-distributed[tracing]'"
        ) from None
    return BatchSpanProcessor(OTLPSpanExporter())
