"""Passwords that may be chosen, and secrets that are handed out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.identity.sessions.domain import MAX_PASSWORD_BYTES, digest, faults, fits, new_secret


def test_a_long_mixed_password_has_no_fault() -> None:
    assert faults("Correct-Horse-7") == ()


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("Short-1aB", "at least 12 characters"),
        ("correct-horse-7", "upper-case"),
        ("CORRECT-HORSE-7", "lower-case"),
        ("Correct-Horse-x", "digit"),
        ("CorrectHorse77", "symbol"),
        ("Correct Horse 77", "symbol"),
        ("Correct-Horse-7" * 5, "at most 72 bytes"),
        ("Correct-Horse-7\0", "without NUL"),
    ],
)
def test_each_rule_that_is_broken_is_named(password: str, fault: str) -> None:
    assert len(faults(password)) == 1
    assert fault in faults(password)[0]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert len(faults("")) == 5


def test_length_is_counted_in_bytes() -> None:
    assert fits("é" * 36)
    assert not fits("é" * 36 + "x")
    assert fits("x" * MAX_PASSWORD_BYTES)
    assert not fits("x" * 73)
    assert not fits("x" * 1_000_000)


@given(st.text(max_size=80))
def test_a_password_without_fault_always_fits(password: str) -> None:
    assert fits(password) or faults(password)


def test_secrets_differ_and_only_their_digest_is_for_keeping() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(one) >= 43
    assert digest(one) != digest(other)
    assert one not in digest(one)
    assert len(digest(one)) == 64
