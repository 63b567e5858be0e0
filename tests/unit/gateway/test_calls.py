"""The two calls of each request are written in one piece, and are what the contract says."""

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
    assert calls.settle(CALLER, told, facts.encode(), admitted, b"gw") == pack(whole)
