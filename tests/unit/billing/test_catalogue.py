"""A model as it is registered."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from ias.billing.catalogue.domain import Backend, Model, NewModel, check
from ias.billing.catalogue.prices import BadModel, written
from ias.contract.catalogue import decode_route, encode_route

MOMENT = datetime(2026, 1, 31, tzinfo=UTC)


def a_model(**changes: object) -> Model:
    fields: dict[str, object] = {
        "id": uuid4(),
        "name": "llama-3-8b",
        "upstream_name": "meta-llama/Llama-3-8B",
        "enabled": True,
        "context_length": 8192,
        "max_output_tokens": 1024,
        "tenant_salt": True,
        "input_rate": Decimal("0.5"),
        "output_rate": Decimal("1.5"),
        "cached_input_rate": Decimal("0.1"),
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "backends": (Backend("http://llama:8000"),),
    }
    return Model(**(fields | changes))


def test_backends_are_written_in_one_form_and_kept_once() -> None:
    model = a_model(backends=(Backend("http://LLAMA:8000/"), Backend("http://llama:8000"), Backend("http://two:8000")))

    assert check(model, allowed=()).backends == (Backend("http://llama:8000"), Backend("http://two:8000"))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "-x"}, "/name"),
        ({"name": "a b"}, "/name"),
        ({"name": "a" * 129}, "/name"),
        ({"name": "<script>"}, "/name"),
        ({"upstream_name": "línea"}, "/upstream_name"),
        ({"max_output_tokens": 8192}, "/max_output_tokens"),
        ({"input_rate": Decimal(-1)}, "/input_rate"),
        ({"input_rate": Decimal("NaN")}, "/input_rate"),
        ({"output_rate": Decimal("Infinity")}, "/output_rate"),
        ({"output_rate": Decimal(1_000_001)}, "/output_rate"),
        ({"cached_input_rate": Decimal("0.00000000001")}, "/cached_input_rate"),
        ({"backends": ()}, "/backends"),
        ({"backends": tuple(Backend(f"http://e{n}") for n in range(65))}, "/backends"),
        ({"backends": (Backend("http://ok"), Backend("file:///x"))}, "/backends/1/url"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(BadModel) as bad:
        check(a_model(**changes), allowed=())
    assert [error.pointer for error in bad.value.errors] == [pointer]


def test_all_bad_fields_are_named_at_once() -> None:
    with pytest.raises(BadModel) as bad:
        check(a_model(name="", input_rate=Decimal(-1), backends=(Backend("x"),)), allowed=())
    assert [error.pointer for error in bad.value.errors] == ["/name", "/input_rate", "/backends/0/url"]


def test_a_route_tells_gateways_what_they_need_and_no_price() -> None:
    model = a_model()

    route = decode_route(encode_route(model.route()))

    assert (route.name, route.upstream_name, route.replicas) == (
        "llama-3-8b",
        model.upstream_name,
        ("http://llama:8000",),
    )
    assert a_model(image_tokens=1500).route().image_tokens == 1500
    assert a_model().route().created == int(a_model().created_at.timestamp()) > 0
    assert (route.model_id, route.context_length, route.max_output_tokens) == (str(model.id), 8192, 1024)
    assert a_model(backends=msgspec.UNSET).route().replicas == ()


def test_rates_are_read_exactly_whether_they_come_as_text_or_as_numbers() -> None:
    body = b'{"name": "m", "backends": [], "input_rate": 0.1, "output_rate": "0.2"}'

    new = msgspec.json.decode(body, type=NewModel)

    assert (new.input_rate, new.output_rate) == (Decimal("0.1"), Decimal("0.2"))


@pytest.mark.parametrize(
    ("money", "shown"),
    [("0E-10", "0"), ("0.5000", "0.5"), ("100", "100"), ("1E+2", "100"), ("0.0000001", "0.0000001"), ("-1.50", "-1.5")],
)
def test_money_is_written_without_exponent_and_trailing_zeros(money: str, shown: str) -> None:
    assert written(Decimal(money)) == shown
