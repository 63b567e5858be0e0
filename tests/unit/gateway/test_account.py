"""What is told about a request once it is over, and its line of the log: JSON that is written piece by piece."""

from time import monotonic, time
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract.admitted import Admitted
from ias.contract.asks import Ask
from ias.contract.catalogue import ModelRoute
from ias.contract.usage import decode_facts
from ias_gateway.account import Times, account, milliseconds, request_line
from ias_gateway.admission import Caller
from ias_gateway.live import Open
from ias_gateway.served import Served, quoted

IDS = [str(UUID(int=number)) for number in range(4)]
ENDPOINT = "/v1/chat/completions"


def told(times: Times, *, model: str = "llama", gateway: str = "one", url: str = "", streamed: bool = False) -> bytes:
    ask = Ask(model, 10, 1, 20, ENDPOINT, streamed)
    opened = Open(Caller("AAAAAAAA", "f" * 64), IDS[0], ask, Admitted(*IDS[:3], b"{}", "202611", 20, 30))
    route = ModelRoute(name=model, model_id=IDS[3], upstream_name="x", replicas=("http://a:1",))
    return account(opened, Served(route), quoted(gateway), (quoted(url), 200), times)


@given(st.text(), st.text(), st.text(), st.booleans())
def test_an_account_is_the_facts_of_the_contract_whatever_names_hold(
    model: str, gateway: str, url: str, streamed: bool
) -> None:
    facts = decode_facts(told(Times(monotonic(), None, None), model=model, gateway=gateway, url=url, streamed=streamed))
    assert (facts.model, facts.gateway, facts.replica, facts.streamed) == (model, gateway, url, streamed)
    assert [facts.organisation, facts.user, facts.key, facts.model_id] == IDS
    assert (facts.endpoint, facts.status) == (ENDPOINT, 200)


def test_an_account_tells_when_a_request_began_and_how_long_it_took() -> None:
    started, before = monotonic() - 2.5, time() - 2.5
    times = Times(started, started + 0.25, started + 1.0625)
    facts = decode_facts(told(times))
    assert before - 1 < facts.started_at <= time() - 2.5 + 1
    assert facts.duration_ms == pytest.approx(1000 * (times.ended - started), abs=0.001)
    assert (facts.queue_ms, facts.first_token_ms) == (pytest.approx(250, abs=0.001), pytest.approx(1062.5, abs=0.001))


def test_what_did_not_happen_has_no_time() -> None:
    facts = decode_facts(told(Times(monotonic(), None, None)))
    assert (facts.queue_ms, facts.first_token_ms) == (None, None)


@given(st.floats(0, 1e6))
def test_a_span_is_told_to_the_microsecond(seconds: float) -> None:
    assert float(milliseconds(seconds)) == pytest.approx(seconds * 1000, abs=0.0011)


@given(st.text(), st.integers(100, 599), st.floats(0, 1e4))
def test_a_request_s_line_is_json(process: str, status: int, seconds: float) -> None:
    line = msgspec.json.decode(request_line(quoted(process), IDS[0], ENDPOINT, (status, seconds)))
    assert abs(line.pop("time") - time()) < 60
    assert line.pop("duration_ms") == pytest.approx(seconds * 1000, abs=0.0011)
    assert line == {
        "process": process,
        "request_id": IDS[0],
        "endpoint": ENDPOINT,
        "status": status,
        "level": "info",
        "event": "request",
    }
