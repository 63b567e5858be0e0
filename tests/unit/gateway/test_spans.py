"""The spans of a request, as OTLP has them, and what becomes of those that no collector takes."""

import asyncio

import msgspec

from ias.contract.traces import Parent, read_traceparent
from ias_gateway.log import Log
from ias_gateway.spans import CLIENT, SERVER, Span, export
from ias_gateway.telemetry import Metrics
from ias_gateway.tracing import MOST_CHOSEN, MOST_WAITING, Tracer

PARENT = Parent("a" * 32, "b" * 16, sampled=True)
MESSAGE = b"POST /v1/chat/completions HTTP/1.1\r\nhost: e\r\ncontent-length: 2\r\n\r\n{}"


def tracer(endpoint: str = "http://127.0.0.1:1", ratio: float = 1.0) -> tuple[Tracer, Metrics]:
    metrics = Metrics()
    return Tracer(endpoint, ratio, {"service.name": "ias-gateway"}, (metrics, Log("gateway", "error"))), metrics


def test_each_attempt_at_an_engine_is_a_span_of_its_own_and_the_last_one_says_how_it_ended() -> None:
    span = Span(PARENT)
    first, second = span.carried(MESSAGE), span.carried(MESSAGE)
    assert span.settled(b'{"a":1}', {"gen_ai.request.model": "m"}).startswith(b'{"a":1,"traceparent":"00-')
    whole, failed, done = span.ended(("POST", "/v1/chat/completions"), "r", 200)

    assert (whole.parent_span_id, whole.kind, whole.name) == (PARENT.span, SERVER, "POST /v1/chat/completions")
    for told, attempt in ((first, failed), (second, done)):
        header = told.split(b"\r\n")[1].partition(b": ")[2]
        assert read_traceparent(header) == Parent(PARENT.trace, attempt.span_id, sampled=True)
        assert (attempt.parent_span_id, attempt.kind, attempt.name) == (whole.span_id, CLIENT, "chat m")
        assert told.replace(b"traceparent: %b\r\n" % header, b"") == MESSAGE
    assert failed.end_time_unix_nano == done.start_time_unix_nano
    assert (failed.status.code, done.status.code) == (2, 0)


def test_an_attempt_that_was_taken_back_is_no_fault_of_its_engine() -> None:
    span = Span(None)
    span.carried(MESSAGE)
    span.withdrawn()
    span.carried(MESSAGE)
    _, taken_back, done = span.ended(("POST", "/v1/chat/completions"), "r", 200)
    assert [(one.key, one.value.string_value) for one in taken_back.attributes] == [("ias.outcome", "withdrawn")]
    assert (taken_back.status.code, done.status.code) == (0, 0)

    refused = Span(None)
    refused.carried(MESSAGE)
    refused.withdrawn()
    whole, taken_back = refused.ended(("POST", "/v1/chat/completions"), "r", 503)
    assert (whole.status.code, taken_back.status.code) == (2, 0)


def test_an_export_is_otlps_json() -> None:
    whole = msgspec.json.decode(export({"service.name": "g"}, Span(None).ended(("GET", "/v1/models"), "r", 503)))
    (of,) = whole["resourceSpans"]
    assert of["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "g"}}]
    (span,) = of["scopeSpans"][0]["spans"]
    assert {"key": "http.response.status_code", "value": {"intValue": "503"}} in span["attributes"]
    assert span["status"] == {"code": 2}
    assert len(span["traceId"]) == 32
    assert span["parentSpanId"] == ""


def test_a_share_is_traced_of_what_comes_without_a_trace_and_all_that_comes_with_one() -> None:
    never, _ = tracer(ratio=0)
    header = f"00-{PARENT.trace}-{PARENT.span}-01".encode()
    assert never.begin(b"") is None
    begun = never.begin(header)
    assert begun is not None
    assert begun.trace == PARENT.trace
    assert tracer(ratio=1)[0].begin(header[:-2] + b"00") is None


async def test_clients_choose_so_many_traces_a_second_and_nobody_without_a_key_is_told_of() -> None:
    traced, metrics = tracer(ratio=0.0)
    header = b"00-%b-%b-01" % (PARENT.trace.encode(), PARENT.span.encode())

    spans = [span for _ in range(MOST_CHOSEN * 5) if (span := traced.begin(header)) is not None]
    traced.end(spans[0], ("POST", "/v1/models"), "r", 401)

    assert MOST_CHOSEN <= len(spans) < MOST_CHOSEN * 5  # more where a second ends meanwhile
    await traced.close()
    assert not metrics.spans.values["dropped",]


async def test_what_no_collector_takes_is_dropped_and_counted() -> None:
    away, metrics = tracer()
    for _ in range(MOST_WAITING + 10):
        away.end(Span(None), ("GET", "/v1/models"), "r", 200)
    assert metrics.spans.values["dropped",] == 10
    await asyncio.wait_for(away.close(), 10)
    assert metrics.spans.values["dropped",] == MOST_WAITING + 10
    assert not metrics.spans.values.get(("sent",))
