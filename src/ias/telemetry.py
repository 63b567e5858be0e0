"""Logs, metrics and traces of the monolith's processes."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from loguru import logger
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

if TYPE_CHECKING:
    from loguru import Message

_ENCODER = msgspec.json.Encoder(enc_hook=str)
_CHATTY = ("aio_pika", "aiormq", "faststream", "httpx", "granian.access")


class StdlibToLoguru(logging.Handler):
    """Hands records of the standard library's logging to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname if record.levelno in {10, 20, 30, 40, 50} else record.levelno
        logger.bind(logger=record.name).opt(exception=record.exc_info).log(level, record.getMessage())


def configure_logging(process: str, level: str) -> None:
    """One JSON object a line on standard output: time, level, process, event, and what was bound."""
    logger.remove()
    logger.add(_write, level=level, format="{message}", catch=True)
    logger.configure(extra={"process": process})
    logging.basicConfig(handlers=[StdlibToLoguru()], level=logging.INFO, force=True)
    for name in _CHATTY:
        logging.Logger.manager.getLogger(name).setLevel(logging.WARNING)


def no_logging() -> None:
    """For commands that say themselves what is wrong: what libraries would log goes nowhere."""
    logger.remove()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def configure_tracing(process: str, endpoint: str, ratio: float) -> None:
    """Send spans to an OpenTelemetry collector over HTTP; without an endpoint nothing is recorded.

    `ratio` is how many are recorded of what comes without a trace, 0 to 1; what comes with one is as that one is.
    """
    if not endpoint:
        return
    resource = Resource.create({"service.name": f"ias-{process}"})
    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(ratio))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)


def _write(message: "Message") -> None:
    record = message.record
    line: dict[str, object] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name.lower(),
        "event": record["message"],
        **record["extra"],
    }
    failure = record["exception"]
    if failure is not None and failure.type is not None:
        line["error"] = f"{failure.type.__name__}: {failure.value}"
        line["traceback"] = "".join(traceback.format_tb(failure.traceback))
    sys.stdout.buffer.write(_ENCODER.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)
