"""The two calls of each request are written in one piece, and are what the contract says."""

import hiredis
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ias.contract import admission
from ias.contract.admission import Admitted, Ask
from ias.contract.usage import Outcome
from ias_gateway import calls
from ias_gateway.admission import Caller
from ias_gateway.redis import pack

TAG = "abcdEFGH"
CALLER = Caller(TAG, "f" * 64)
TEXTS = st.text(st.characters(codec="utf-8"))


@settings(deadline=None)
@given(st.sampled_from([-1, 0, 7]), st.integers(1, 3), TEXTS)
def test_a_reservation_is_the_contracts_to_the_byte(guess: int, prompts: int, model: str) -> None:
    ask = Ask(model, 100, 2, 50, "/v1/chat/completions", streamed=False, prompts=prompts, guess=guess)
    command = admission.reserve(TAG, CALLER.fingerprint, "r", ask, ("gw", 30))
    assert calls.reserve(CALLER, "r", ask, ("gw", 30)) == pack(command)


@settings(deadline=None)
@given(st.sampled_from(Outcome), st.booleans(), TEXTS, TEXTS)
def test_a_settlement_is_the_contracts_with_its_holder_to_the_byte(
    outcome: Outcome, estimated: bool, facts: str, user: str
) -> None:
    admitted = admission.read_reserve([b"ok", b"org", user.encode(), b"key", b"{}", b"203001", 50, 150])
    assert isinstance(admitted, Admitted)
    command = admission.settle(TAG, "r", (1, 2, 0), (outcome, estimated), facts.encode())
    told = admission.settlement("r", (1, 2, 0), (outcome, estimated))
    whole = (*command, *admission.holder_of(admitted, "gw"))
    assert calls.settle(CALLER, told, facts.encode(), admitted, calls.argument("gw")) == pack(whole)


def read(packed: bytes) -> list[bytes]:
    """A command as Redis reads it."""
    reader = hiredis.Reader()
    reader.feed(packed)
    command = reader.gets()
    assert isinstance(command, list)
    return command


def test_each_place_of_a_reservation_is_what_the_library_takes_it_for() -> None:
    ask = Ask("llama", 100, 2, 50, "/v1/chat/completions", streamed=True, images=3, prompts=4, guess=60)
    fcall, name, keys, key, told = read(calls.reserve(CALLER, "r", ask, ("gw", 30)))
    assert (fcall, name, keys, key) == (b"FCALL", b"ias_reserve_packed", b"1", b"{o:abcdEFGH}")
    places = (
        *("fingerprint", "request", "model", "prompt", "n", "output", "lease", "gateway", "endpoint"),
        *("streamed", "images", "guess", "prompts", "early"),
    )
    assert dict(zip(places, msgspec.msgpack.decode(told), strict=True)) == {
        "fingerprint": "f" * 64,
        "request": "r",
        "model": "llama",
        "prompt": 100,
        "n": 2,
        "output": 50,
        "lease": 30,
        "gateway": "gw",
        "endpoint": "/v1/chat/completions",
        "streamed": "1",
        "images": 3,
        "guess": 60,
        "prompts": 4,
        "early": 1,
    }


def test_each_place_of_a_settlement_is_what_the_library_takes_it_for() -> None:
    admitted = admission.read_reserve([b"ok", b"org", b"user", b"key", b"{}", b"203001", 50, 150])
    assert isinstance(admitted, Admitted)
    told = admission.settlement("r", (7, 3, 2), (Outcome.COMPLETED, True))
    fcall, name, keys, key, told, *beside = read(
        calls.settle(CALLER, told, b'{"facts":1}', admitted, calls.argument("gw"))
    )
    assert (fcall, name, keys, key) == (b"FCALL", b"ias_settle_packed", b"1", b"{o:abcdEFGH}")
    places = ("request", "prompt", "completion", "cached", "outcome", "estimated")
    assert dict(zip(places, msgspec.msgpack.decode(told), strict=True)) == {
        "request": "r",
        "prompt": 7,
        "completion": 3,
        "cached": 2,
        "outcome": "completed",
        "estimated": "1",
    }
    assert dict(zip(("facts", "user", "month", "gateway"), beside, strict=True)) == {
        "facts": b'{"facts":1}',
        "user": b"user",
        "month": b"203001",
        "gateway": b"gw",
    }
