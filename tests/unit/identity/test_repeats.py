"""Which requests count as the same, and who can read a kept answer."""

from uuid import UUID

import pytest

from ias.identity.repeats.domain import (
    BadIdempotencyKey,
    Kept,
    OutcomeUnknown,
    Sent,
    checked,
    digest,
    seal,
    unseal,
)

USER = UUID("0190a3a0-0000-7000-8000-000000000001")
OTHER = UUID("0190a3a0-0000-7000-8000-000000000002")
ANSWER = Kept(201, ((b"content-type", b"application/json"),), b'{"token":"ias_secret"}')


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "ümlaut", "line\nbreak", "tab\t"])
def test_a_key_that_is_no_plain_word_is_refused(key: str) -> None:
    with pytest.raises(BadIdempotencyKey, match="printable ASCII"):
        checked(key)


@pytest.mark.parametrize("key", ["x", "0190a3a0-0000-7000-8000-000000000001", "~" * 255])
def test_a_plain_word_is_a_key(key: str) -> None:
    assert checked(key) == key


def test_a_request_differs_by_method_path_query_and_body() -> None:
    same = digest("POST", "/a", b"", b"{}")
    assert same == digest("POST", "/a", b"", b"{}")
    others = [digest("PUT", "/a", b"", b"{}"), digest("POST", "/b", b"", b"{}")]
    others += [digest("POST", "/a", b"x=1", b"{}"), digest("POST", "/a", b"", b"{ }")]
    assert same not in others


def test_a_sealed_answer_shows_nothing_and_opens_with_its_own_key_alone() -> None:
    sent = Sent(USER, "key", b"")
    sealed = seal(ANSWER, sent.secret)
    assert b"ias_secret" not in sealed
    assert unseal(sealed, sent.secret) == ANSWER
    for stranger in (Sent(OTHER, "key", b""), Sent(USER, "another", b"")):
        with pytest.raises(OutcomeUnknown):
            unseal(sealed, stranger.secret)


def test_what_is_stored_of_a_key_does_not_open_its_answer() -> None:
    sent = Sent(USER, "key", b"")
    with pytest.raises(OutcomeUnknown):
        unseal(seal(ANSWER, sent.secret), sent.key_hash)


def test_a_damaged_answer_is_told_as_unknown() -> None:
    sent = Sent(USER, "key", b"")
    sealed = bytearray(seal(ANSWER, sent.secret))
    sealed[-1] ^= 1
    with pytest.raises(OutcomeUnknown, match="look whether it was done"):
        unseal(bytes(sealed), sent.secret)
