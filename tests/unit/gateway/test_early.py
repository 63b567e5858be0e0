"""What comes of an answer before its request was let in waits, and is lost to nobody; whose lead a request goes by."""

import pytest

from ias.contract.admission import Admitted
from ias.contract.catalogue import ModelRoute
from ias.contract.usage import Outcome
from ias_gateway import upstream
from ias_gateway.connection import Connection
from ias_gateway.exchange import Exchange
from ias_gateway.lead import Leads, note
from ias_gateway.reply import Limits, Reply
from ias_gateway.served import Served
from ias_gateway.sse import UsageScanner
from tests.unit.gateway.test_garbage import Server, Transport

HEAD = b"x-request-id: r\r\n"
ENGINE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


class Client(Transport):
    """What a client was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.got = b""

    def write(self, data: bytes) -> None:
        self.got += data


class Engine(Transport):
    """Whether an engine's answer is read, and its connection open."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.open = True, True

    def pause_reading(self) -> None:
        self.read = False

    def resume_reading(self) -> None:
        self.read = True

    def abort(self) -> None:
        self.open = False


class Case:
    """A stream's request that was sent before it was let in."""

    def __init__(self) -> None:
        self.client, self.engine = Client(), Engine()
        self.behind = Connection(Server())
        self.behind.connection_made(self.client)
        self.exchange = Exchange(self.behind, b"POST", b"/")
        self.reply = Reply(self.exchange, None, UsageScanner(include_usage=False, continuous=False), Limits(1, 1, 1))
        self.connection = upstream.Connection(upstream.Pool("http://127.0.0.1:1"))
        self.connection.connection_made(self.engine)
        self.reply.through(self.connection, b"", lambda: None)

    def say(self, *pieces: bytes, end: bool = False) -> None:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        self.connection.data_received(chunks + (b"0\r\n\r\n" if end else b""))


@pytest.fixture
async def case() -> Case:
    return Case()


def told(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


async def test_a_client_hears_nothing_before_its_request_is_let_in(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    case.say(EVENT)
    assert (case.client.got, case.reply.begun) == (b"", False)

    case.reply.admitted(HEAD)
    head, _, body = case.client.got.partition(b"\r\n\r\n")
    assert b"\r\nx-request-id: r" in head
    assert body == told(EVENT)


async def test_what_comes_before_and_after_is_one_stream(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    for _ in range(3):
        case.say(EVENT)
    case.reply.admitted(HEAD)
    case.say(EVENT)
    case.say(DONE, end=True)
    assert await case.reply.done is Outcome.COMPLETED
    case.reply.finish_stream(b"")
    assert case.client.got.partition(b"\r\n\r\n")[2] == told(EVENT * 3, EVENT, DONE) + b"0\r\n\r\n"


async def test_of_a_stream_that_is_over_before_nothing_is_lost(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    case.say(EVENT)
    case.say(EVENT, DONE, end=True)
    assert case.client.got == b""
    case.reply.admitted(HEAD)
    assert await case.reply.done is Outcome.COMPLETED
    case.reply.finish_stream(b"")
    assert case.client.got.partition(b"\r\n\r\n")[2] == told(EVENT * 2 + DONE) + b"0\r\n\r\n"


async def test_a_head_alone_is_told_when_the_request_is_let_in(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    assert case.client.got == b""
    case.reply.admitted(HEAD)
    assert case.client.got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert case.client.got.endswith(b"\r\n\r\n")


async def test_no_more_than_one_read_is_kept_for_who_is_not_let_in_yet(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    case.say(EVENT)
    assert not case.engine.read
    case.reply.admitted(HEAD)
    assert case.engine.read


async def test_a_client_that_does_not_read_stays_spared_when_it_is_let_in(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    case.say(EVENT)
    case.reply.pause()
    case.reply.admitted(HEAD)
    assert not case.engine.read
    case.reply.resume()
    assert case.engine.read


async def test_a_stream_that_breaks_before_can_still_be_told_as_an_error(case: Case) -> None:
    case.connection.data_received(ENGINE_HEAD)
    case.connection.connection_lost(None)
    case.reply.admitted(HEAD)
    assert await case.reply.done is Outcome.UPSTREAM_FAILED
    assert (case.reply.begun, case.reply.tail, case.client.got) == (False, b"", b"")


async def test_an_engine_that_is_taken_back_is_left_at_once(case: Case) -> None:
    case.reply.cut(Outcome.CUT)
    assert not case.engine.open
    case.say(EVENT)
    assert case.client.got == b""


# -- leads -------------------------------------------------------------------------------------------------------------


def route() -> Served:
    return Served(ModelRoute(name="m", model_id="i", upstream_name="u", replicas=("http://127.0.0.1:1",)))


def answer(org: str = "o", usual: int = 1024, route: bytes = b"{}", held: int = 9) -> Admitted:
    return Admitted(org, "u", "k", route, "202611", 1, held, usual=usual)


def test_a_lead_is_what_was_said_last() -> None:
    leads: Leads = {}
    there = route()
    note(leads, "m", answer(), there, 5.0)
    first = leads["m"]
    assert (first.last.org, first.route, first.last.usual, first.until) == ("o", there, 1024, 5.0)
    note(leads, "m", answer(), there, 6.0)
    assert leads["m"] is first
    assert first.until == 6.0


@pytest.mark.parametrize("changed", ["organisation", "route"])
def test_what_changed_is_another_lead(changed: str) -> None:
    # Requests under way by the old one must see that it is not theirs any more.
    leads: Leads = {}
    there = route()
    note(leads, "m", answer(), there, 5.0)
    first = leads["m"]
    given = {"organisation": answer(org="p"), "route": answer(route=b"{1}")}[changed]
    note(leads, "m", given, route() if changed == "route" else there, 6.0)
    assert leads["m"] is not first
    assert (first.last.org, first.route, first.until) == ("o", there, 5.0)


def test_another_output_limit_is_the_next_ones() -> None:
    leads: Leads = {}
    note(leads, "m", answer(), route(), 5.0)
    note(leads, "m", answer(usual=7), route(), 6.0)
    assert (leads["m"].last.usual, leads["m"].until) == (7, 6.0)


def test_a_route_that_was_decoded_anew_is_the_same_route() -> None:
    # While a changed one is projected, organisations that have it and that do not have it take turns.
    leads: Leads = {}
    note(leads, "m", answer(), route(), 5.0)
    first = leads["m"]
    note(leads, "m", answer(), route(), 6.0)
    assert leads["m"] is first
    assert first.fits(answer())


def test_what_holds_nothing_says_nothing_of_limits() -> None:
    leads: Leads = {}
    note(leads, "m", answer(held=0), route(), 5.0)
    assert not leads
    note(leads, "m", answer(held=9), route(), 5.0)
    note(leads, "m", answer(held=0), route(), 6.0)
    assert (leads["m"].last.held, leads["m"].until) == (9, 5.0)
    note(leads, "m", answer(held=4), route(), 7.0)
    assert (leads["m"].last.held, leads["m"].until) == (4, 7.0)


def test_near_a_limit_nobody_is_led() -> None:
    leads: Leads = {}
    note(leads, "m", answer(), route(), 5.0)
    note(leads, "n", answer(), route(), 5.0)
    note(leads, "m", answer(usual=-1), route(), 6.0)
    note(leads, "o", answer(usual=-1), route(), 6.0)
    assert list(leads) == ["n"]
