"""Calls of the Function library name one slot, and its answers are read completely."""

import pytest

from ias.contract import admission
from ias.contract.admission import Ask

TAG = "Ab3dEf9h"
ASK = Ask("llama", 100, 1, 50, "/v1/chat/completions", streamed=True)
OK = [b"ok", b"org", b"user", b"key", b"{}", b"202611", 50, 150, 10, 9, 5, -1, -1, 0]


def every_call() -> list[admission.Command]:
    return [
        admission.reserve(TAG, "f" * 64, "r1", ASK, ("gw", 30)),
        admission.tick(TAG, 30, ["r1", 1, 2, 0]),
        admission.settle(TAG, "r1", (1, 2, 0), ("completed", False), b"{}"),
        admission.sweep(TAG, 10),
        admission.grant(TAG, "f" * 64, 1, ("k", "u"), None),
        admission.grant(TAG, "f" * 64, 1, ("k", "u"), 1_800_000_000),
        admission.revoke(TAG, "f" * 64, 2, ("k", "u")),
        admission.project(TAG, "pol", 3, {"tokens": 5, "udef": -1}),
        admission.restore(TAG, "202611", 4, 12, {"u": 12}),
        admission.complete(TAG),
        admission.models(TAG, "f" * 64),
        admission.standing(TAG, "u"),
    ]


def test_every_call_names_the_organisations_slot_and_a_function_that_exists() -> None:
    for command in every_call():
        assert command[0] in {"FCALL", "FCALL_RO"}
        assert f"'{command[1]}'" in admission.LIBRARY
        assert command[2:4] == (1, "{o:Ab3dEf9h}")


def test_keys_of_an_organisation_share_its_hash_tag() -> None:
    assert admission.outbox(TAG).startswith(admission.slot(TAG))


def test_the_library_says_its_own_version() -> None:
    assert f"return '{admission.LIBRARY_VERSION}'" in admission.LIBRARY
    assert "@VERSION@" not in admission.LIBRARY


def test_an_admission_is_read_whole() -> None:
    admitted = admission.read_reserve(OK)
    assert isinstance(admitted, admission.Admitted)
    assert (admitted.org, admitted.user, admitted.key, admitted.route) == ("org", "user", "key", b"{}")
    assert (admitted.period, admitted.output, admitted.held) == ("202611", 50, 150)
    assert (admitted.requests.limit, admitted.requests.remaining, admitted.requests.reset_ms) == (10, 9, 5)
    assert admitted.tokens.limit == -1
    assert admission.holder_of(admitted, "gw") == ("user", "202611", "gw")


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ([b"key"], admission.BadKey()),
        ([b"not_ready"], admission.NotReady(unknown_org=False)),
        ([b"unknown_org"], admission.NotReady(unknown_org=True)),
        ([b"suspended", b"user"], admission.Suspended("user")),
        ([b"model", [b"b", b"a"]], admission.UnknownModel(("a", "b"))),
        ([b"model", None], admission.UnknownModel(())),
        ([b"duplicate"], admission.Duplicate()),
        (
            [b"budget", b"user", b"10", b"8", b"1", b"202611", b"1795000000"],
            admission.OverBudget("user", 10, 8, 1, "202611", 1_795_000_000),
        ),
        (
            [b"rate", b"requests", b"organisation", b"5", b"120", b"5", b"0", b"900", b"-1", b"-1", b"0"],
            admission.OverRate(
                "requests", "organisation", 5, 120, admission.Rate(5, 0, 900), admission.Rate(-1, -1, 0)
            ),
        ),
        ([b"too_large", b"100", b"400"], admission.TooLarge(100, 400)),
    ],
)
def test_every_refusal_is_read(reply: list[object], refused: admission.Refused) -> None:
    assert admission.read_reserve(reply) == refused


@pytest.mark.parametrize("reply", [[b"surprise"], [b"budget", b"user"], [b"suspended", 1.5]])
def test_an_answer_of_another_release_is_an_error_that_says_so(reply: list[object]) -> None:
    with pytest.raises(ValueError, match="Function library"):
        admission.read_reserve(reply)


def test_numbers_are_text_like_any_other() -> None:
    assert admission.text(12) == "12"
