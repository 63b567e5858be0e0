"""How the Function library is called, and how its answers are read."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract import admission
from ias.contract.admission import (
    Admitted,
    Ask,
    BadKey,
    Duplicate,
    NotReady,
    OverBudget,
    OverRate,
    Rate,
    Suspended,
    TooLarge,
    UnknownModel,
)
from ias.contract.usage import Outcome

TAG = "abcdEFGH"
ADMITTED = [
    *(b"ok", b"org", b"user", b"key", b"{}", b"203001", 50, 150),
    *(10, 9, 100, -1, -1, 0),
]


def test_every_call_names_the_one_key_of_its_organisation() -> None:
    ask = Ask("m", 1, 1, 5, "/v1/completions", streamed=True)
    admitted = admission.read_reserve(ADMITTED)
    assert isinstance(admitted, Admitted)
    calls = (
        admission.reserve(TAG, "f", "r", ask, ("gw", 30)),
        admission.tick(TAG, 30, ["r", 1, 2, 0]),
        admission.settle(TAG, "r", (1, 2, 0), ("completed", False), b"{}") + admission.holder_of(admitted, "gw"),
        admission.sweep(TAG, 10),
        admission.grant(TAG, "f", 1, ("k", "u"), None),
        admission.revoke(TAG, "f", 1, ("k", "u")),
        admission.project(TAG, "pol", 1, {"tokens": 5}),
        admission.restore(TAG, "203001", 4, 5, {"u": 5}),
        admission.complete(TAG),
        admission.models(TAG, "f"),
        admission.standing(TAG, "u"),
    )
    for call in calls:
        assert call[0] in {"FCALL", "FCALL_RO"}
        assert call[2:4] == (1, "{o:abcdEFGH}")
        assert all(isinstance(argument, (str, bytes, int)) and not isinstance(argument, bool) for argument in call)


def test_the_outbox_lies_in_the_organisations_slot() -> None:
    assert admission.outbox(TAG).startswith(admission.slot(TAG))


def test_a_reservation_carries_what_is_asked_in_the_librarys_order() -> None:
    ask = Ask("m", 100, 2, 50, "/v1/chat/completions", streamed=True)
    (told,) = admission.reserve(TAG, "f", "r", ask, ("gw", 30))[4:]
    assert isinstance(told, bytes)
    assert msgspec.msgpack.decode(told) == [
        *("f", "r", "m", 100, 2, 50, 30, "gw", "/v1/chat/completions", "1", 0, "", 1, 1),
    ]


def test_a_settlement_carries_its_end_in_the_librarys_order_and_the_facts_beside_it() -> None:
    told, facts = admission.settle(TAG, "r", (1, 2, 0), (Outcome.COMPLETED, True), b"{}")[4:]
    assert isinstance(told, bytes)
    assert (msgspec.msgpack.decode(told), facts) == (["r", 1, 2, 0, "completed", "1"], b"{}")


def test_a_key_without_an_end_is_granted_with_an_empty_one() -> None:
    assert admission.grant(TAG, "f", 1, ("k", "u"), None)[-1] == ""
    assert admission.grant(TAG, "f", 1, ("k", "u"), 77)[-1] == 77


def test_the_library_says_its_version_and_a_changed_library_says_another() -> None:
    assert admission.LIBRARY.startswith("#!lua name=ias\n")
    assert f"'{admission.LIBRARY_VERSION}'" in admission.LIBRARY
    assert "@VERSION@" not in admission.LIBRARY
    assert len(admission.LIBRARY_VERSION) == 16


def test_an_admission_is_read_whole() -> None:
    assert admission.read_reserve(ADMITTED) == Admitted(
        org="org",
        user="user",
        key="key",
        route=b"{}",
        period="203001",
        output=50,
        held=150,
        requests=Rate(10, 9, 100),
        tokens=Rate(-1, -1, 0),
    )


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ([b"key"], BadKey()),
        ([b"not_ready"], NotReady(unknown_org=False)),
        ([b"unknown_org"], NotReady(unknown_org=True)),
        ([b"suspended", b"user"], Suspended(scope="user")),
        ([b"model", [b"b", b"a"]], UnknownModel(models=("a", "b"))),
        ([b"model", []], UnknownModel(models=())),
        ([b"duplicate"], Duplicate()),
        (
            [b"budget", b"user", b"10", b"4", 5, b"203001", b"1893456000"],
            OverBudget("user", 10, 4, 5, "203001", 1893456000),
        ),
        (
            [b"rate", b"tokens", b"organisation", 60, 500, -1, -1, 0, 60, 1, 900],
            OverRate("tokens", "organisation", 60, 500, Rate(-1, -1, 0), Rate(60, 1, 900)),
        ),
        ([b"too_large", b"60", b"100"], TooLarge(60, 100)),
    ],
)
def test_each_refusal_is_read(reply: list[object], refused: admission.Refused) -> None:
    assert admission.read_reserve(reply) == refused


@pytest.mark.parametrize("reply", [[b"other"], [b"budget", b"user"], [b"suspended"]])
def test_an_answer_of_another_release_says_what_to_do(reply: list[object]) -> None:
    with pytest.raises(ValueError, match="ias migrate up"):
        admission.read_refusal(reply)


def test_a_part_that_is_no_string_is_refused() -> None:
    with pytest.raises(ValueError, match="where a string belongs"):
        admission.text([b"x"])


@given(st.integers())
def test_numbers_come_as_integers_or_as_text(number: int) -> None:
    assert int(admission.text(number)) == int(admission.text(str(number).encode())) == number


def test_limits_are_read_row_by_row_and_refusals_as_elsewhere() -> None:
    row = [b"budget", b"user", b"10", b"4", b"5", b"0", b"-1"]
    period, now_ms, standings = admission.read_limits([b"ok", b"203001", b"1893456000001", *row, *row])
    assert (period, now_ms) == ("203001", 1_893_456_000_001)
    assert standings == (admission.Standing("budget", "user", 10, 4, 5, 0, -1),) * 2
    assert admission.read_limits([b"key"]) == BadKey()


def test_the_entry_of_a_settlement_is_read_where_it_is_told() -> None:
    assert admission.entry_of([b"ok", b"1", b"5-0"]) == "5-0"
    assert admission.entry_of([b"already", b"1"]) == ""
