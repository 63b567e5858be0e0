"""Spans of what is done with a settlement once its request is over: each is part of the trace that the request was."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ias.contract import conventions
from ias.contract.traces import HEADER
from ias.contract.usage import UsageRecorded

_TRACER: Final = trace.get_tracer("ias.usage")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


@contextmanager
def following(operation: str, destination: str, events: Sequence[UsageRecorded]) -> Iterator[None]:
    """Work on a batch, inside the block: if it succeeds, each event that is traced has a span as long as it.

    `operation` is `send` or `process`, by the conventions for messaging.
    """
    began = time.time_ns()
    yield
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    for event in events:
        if event.traceparent:
            _tell(event, (operation, destination), began, len(events))


def _tell(event: UsageRecorded, what: tuple[str, str], began: int, together: int) -> None:
    operation, destination = what
    kind = trace.SpanKind.PRODUCER if operation == "send" else trace.SpanKind.CONSUMER
    span = _TRACER.start_span(
        f"{operation} {destination}",
        context=_PROPAGATOR.extract({HEADER: event.traceparent}),
        kind=kind,
        start_time=began,
        attributes={
            conventions.MESSAGING: "rabbitmq",
            conventions.MESSAGING_OPERATION: operation,
            conventions.DESTINATION: destination,
            conventions.TOGETHER: together,
            conventions.REQUEST_ID: str(event.request_id),
            conventions.OUTCOME: event.outcome.value,
        },
    )
    span.end()
