"""A client's `traceparent` is one trace: through the gateway, the engine, the relay and both consumers."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.product import Product, product
from tests.product.people import new_org, system_admin
from tests.services import Services

MODEL = "traced"
ROUTE = "/v1/chat/completions"
WITHIN_S = 60.0
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


@dataclass(frozen=True)
class Seen:
    """A span as a collector got it."""

    service: str
    trace: str
    span: str
    parent: str
    name: str
    kind: int
    attributes: dict[str, Any] = field(hash=False)


@dataclass
class Heard:
    """What a server of the test's own was sent: spans, and what an engine was told to belong to."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    parents: list[str | None] = field(default_factory=list)

    def of(self, trace: str, *names: str) -> dict[str, Seen]:
        """The spans of a trace by name, once all of these are there."""
        until = monotonic() + WITHIN_S
        while monotonic() < until:
            found = {span.name: span for span in tuple(self.spans) if span.trace == trace}
            if found.keys() >= set(names):
                return found
            sleep(0.05)
        raise AssertionError(f"of {names} there are only {sorted({span.name for span in self.spans})}")


def take_json(body: bytes) -> Iterator[Seen]:
    for of in msgspec.json.decode(body)["resourceSpans"]:
        service = _named(of["resource"]["attributes"])["service.name"]
        for span in (span for scope in of["scopeSpans"] for span in scope["spans"]):
            assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) > 0
            ids = span["traceId"], span["spanId"], span["parentSpanId"]
            yield Seen(service, *ids, span["name"], span["kind"], _named(span["attributes"]))


def take_protobuf(body: bytes) -> Iterator[Seen]:
    for of in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = {each.key: each.value.string_value for each in of.resource.attributes}["service.name"]
        for span in (span for scope in of.scope_spans for span in scope.spans):
            ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
            told = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
            yield Seen(service, *ids, span.name, span.kind, told)


def _named(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    def value(said: dict[str, str]) -> str | int:
        return int(said["intValue"]) if "intValue" in said else said["stringValue"]

    return {each["key"]: value(each["value"]) for each in attributes}


TAKES: dict[str, Callable[[bytes], Iterator[Seen]]] = {
    "application/json": take_json,
    "application/x-protobuf": take_protobuf,
}


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    """A collector and an engine behind one port."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body, answer = self.rfile.read(int(self.headers["content-length"])), b"{}"
            if self.path == "/v1/traces":
                heard.spans += TAKES[self.headers["content-type"]](body)
            else:
                heard.parents.append(self.headers.get("traceparent"))
                answer = msgspec.json.encode(ANSWER)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def traced(services: Services, heard: Heard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, str]]:
    """The product, which sends its spans there, and the key of somebody who may call the engine there."""
    services.need("rabbitmq")
    settings = {"IAS_OTLP_ENDPOINT": heard.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    folder = tmp_path_factory.mktemp("traced")
    with ExitStack() as stack:
        database, redis = stack.enter_context(services.database()), stack.enter_context(services.fresh("redis"))
        amqp = stack.enter_context(services.virtual_host())
        whole = stack.enter_context(product(folder, database, redis.url, amqp, settings))
        admin = system_admin(whole)
        admin.post("/models", {"name": MODEL, "backends": [{"url": heard.url}]})
        yield whole, new_org(admin).user.issue_key()["token"]


def complete(traced: tuple[Product, str], *traceparents: str) -> None:
    whole, token = traced
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    headers = [("authorization", f"Bearer {token}"), *(("traceparent", value) for value in traceparents)]
    answer = httpx.post(f"{whole.gateway_url}{ROUTE}", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text


def test_a_clients_trace_goes_through_gateway_engine_relay_and_consumers(
    traced: tuple[Product, str], heard: Heard
) -> None:
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    complete(traced, f"00-{trace}-{caller}-01")

    spans = heard.of(trace, f"POST {ROUTE}", f"chat {MODEL}", "send usage", "process ledger", "process usage")
    whole, engine = spans[f"POST {ROUTE}"], spans[f"chat {MODEL}"]
    assert (whole.service, whole.kind, whole.parent) == ("ias-gateway", SERVER, caller)
    assert (engine.service, engine.kind, engine.parent) == ("ias-gateway", CLIENT, whole.span)
    assert heard.parents[-1] == f"00-{trace}-{engine.span}-01"
    for name, kind in (("send usage", PRODUCER), ("process ledger", CONSUMER), ("process usage", CONSUMER)):
        assert (spans[name].service, spans[name].kind, spans[name].parent) == ("ias-worker", kind, whole.span)
        assert spans[name].attributes["ias.request_id"] == whole.attributes["ias.request_id"]
    assert engine.attributes["gen_ai.operation.name"] == "chat"
    assert engine.attributes["gen_ai.request.model"] == MODEL
    assert engine.attributes["gen_ai.usage.input_tokens"] == 7
    assert engine.attributes["gen_ai.usage.output_tokens"] == 3
    assert whole.attributes["http.response.status_code"] == 200


def test_who_is_not_sampled_is_not_traced_and_who_brings_no_trace_begins_one(
    traced: tuple[Product, str], heard: Heard
) -> None:
    silent, caller = secrets.token_hex(16), secrets.token_hex(8)
    complete(traced, f"00-{silent}-{caller}-00")
    assert heard.parents[-1] is None
    # Two of them, or what is none, say nothing: a trace begins here.
    twice = [f"00-{secrets.token_hex(16)}-{caller}-01" for _ in range(2)]
    for headers in ((), tuple(twice), ("nonsense",)):
        complete(traced, *headers)
        begun = heard.parents[-1]
        assert begun is not None
        trace = begun.split("-")[1]
        assert trace not in {silent, *(value.split("-")[1] for value in twice)}
        assert heard.of(trace, f"POST {ROUTE}", "process ledger")[f"POST {ROUTE}"].parent == ""
    assert not [span for span in heard.spans if span.trace == silent]


def test_the_management_api_goes_on_with_a_trace_too(traced: tuple[Product, str], heard: Heard) -> None:
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    httpx.get(f"{traced[0].api_url}/api/v1/models", headers={"traceparent": f"00-{trace}-{caller}-01"})

    span = heard.of(trace, "GET /api/v1/models")["GET /api/v1/models"]
    assert (span.service, span.kind, span.parent) == ("ias-api", SERVER, caller)
    assert span.attributes["http.response.status_code"] == 401
