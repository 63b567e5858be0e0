"""The documents of the gateway and of the events say what the code does."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import jsonschema_rs
import msgspec
import pytest

from ias.bus import declared
from ias.contract.usage import EXCHANGE, LEDGER_QUEUE, ROUTING_KEY, Outcome, UsageRecorded, decode_batch, encode_batch
from ias_gateway.app import route
from ias_gateway.bodies.endpoints import BY_PATH, JSON
from ias_gateway.exchange import Exchange
from scripts.manual import events, gateway, routes

META = Path(__file__).parents[1] / "unit" / "openapi" / "oas-3.1.json"
GATEWAY = gateway.document()
ROUTES = [(method, path) for method, path, _ in routes.routes(GATEWAY)]


def test_the_gateways_document_is_openapi_3_1() -> None:
    meta = jsonschema_rs.Draft202012Validator(msgspec.json.decode(META.read_bytes()))
    assert [f"{error.instance_path}: {error.message}" for error in meta.iter_errors(GATEWAY)] == []


def taken_to(method: str, path: str) -> str:
    """The name of what the gateway's table of routes answers a request with."""
    story = route(cast("object", None), cast("Exchange", SimpleNamespace(method=method.encode(), path=path.encode())))  # type: ignore[arg-type]
    story.close()
    return story.__name__


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_of_the_document_is_served_and_no_other_method_of_it(method: str, path: str) -> None:
    concrete = path.replace("{model}", "mock-gpt")
    assert taken_to(method, concrete) != "_unrouted"
    assert taken_to("GET" if method == "POST" else "POST", concrete) == "_unrouted"


def test_every_route_that_is_served_is_in_the_document() -> None:
    assert {path for method, path in ROUTES if method == "POST"} == {path.decode() for path in BY_PATH}
    assert {path for method, path in ROUTES if method == "GET"} == {
        "/v1/models",
        "/v1/models/{model}",
        "/v1/usage/limits",
    }
    assert taken_to("GET", "/v1/batches") == "_unrouted"


@pytest.mark.parametrize("path", [path for path, endpoint in BY_PATH.items() if endpoint.content_type == JSON])
def test_the_documents_example_of_a_body_is_taken_and_keeps_to_its_schema(path: bytes) -> None:
    content = GATEWAY["paths"][path.decode()]["post"]["requestBody"]["content"]["application/json"]  # type: ignore[index]
    assert BY_PATH[path].read(msgspec.json.encode(content["example"]))
    whole = {**content["schema"], "components": GATEWAY["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(content["example"])
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.Draft202012Validator(whole).validate({**content["example"], "priority": 1})


def test_a_chat_s_schema_has_the_fields_that_are_taken_and_left_out_too() -> None:
    content = GATEWAY["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]  # type: ignore[index]
    whole = {**content["schema"], "components": GATEWAY["components"]}
    for more in ({"store": True}, {"metadata": {"a": "b"}}, {"min_p": 0.1}, {"documents": [{"text": "x"}]}):
        body = {**content["example"], **more}
        assert BY_PATH[b"/v1/chat/completions"].read(msgspec.json.encode(body))
        jsonschema_rs.Draft202012Validator(whole).validate(body)


def test_an_example_of_the_event_is_read_by_the_consumers_and_keeps_to_its_schema() -> None:
    told = events.document()
    payload = told["components"]["messages"]["UsageRecorded"]["examples"][0]["payload"]  # type: ignore[index]
    assert decode_batch(msgspec.json.encode(payload)) == (events.EXAMPLE,)
    check(payload)


def test_whatever_the_relay_sends_keeps_to_the_events_schema_and_a_field_less_does_not() -> None:
    for outcome in Outcome:
        event = msgspec.structs.replace(events.EXAMPLE, outcome=outcome, line=2, prompt_tokens=-5, first_token_ms=None)
        check(msgspec.json.decode(encode_batch([event, events.EXAMPLE])))
    sent = msgspec.json.decode(encode_batch([events.EXAMPLE]))
    for field in UsageRecorded.__struct_fields__:
        if field in sent[0] and events.schemas()["UsageRecorded"]["required"].count(field):  # type: ignore[attr-defined]
            with pytest.raises(jsonschema_rs.ValidationError):
                check([{name: value for name, value in sent[0].items() if name != field}])


def test_every_field_of_the_event_has_a_meaning() -> None:
    fields = events.schemas()["UsageRecorded"]["properties"]
    assert [name for name, field in fields.items() if not field["description"]] == []  # type: ignore[attr-defined]


def check(payload: object) -> None:
    """Hold a message against the document's schema."""
    whole = {"$ref": "#/components/schemas/Batch", "components": {"schemas": events.schemas()}}
    jsonschema_rs.Draft202012Validator(whole).validate(payload)


def test_the_document_names_the_exchange_and_the_queues_as_they_are_declared() -> None:
    channels = events.document()["channels"]
    assert isinstance(channels, dict)
    assert channels["usage"]["bindings"]["amqp"]["exchange"]["name"] == EXCHANGE
    assert channels["usage"]["address"] == ROUTING_KEY
    assert declared(LEDGER_QUEUE)["x-dead-letter-routing-key"] in channels[LEDGER_QUEUE]["description"]
