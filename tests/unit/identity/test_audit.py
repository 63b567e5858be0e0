"""What the audit log keeps of a change: never a secret."""

import pytest

from ias.identity.audit.domain import MASKED, masked


@pytest.mark.parametrize(
    "name", ["password", "new_password", "password_hash", "token", "refresh_token", "Secret", "fingerprint"]
)
def test_a_secret_is_masked_by_its_name(name: str) -> None:
    assert masked({name: "hush"}) == {name: MASKED}


def test_what_only_sounds_like_a_secret_stays() -> None:
    fields = {"monthly_tokens": 5, "tokens_per_minute": None, "tokenizer": "x", "label": "token", "hashes": 2}
    assert masked(fields) == fields
