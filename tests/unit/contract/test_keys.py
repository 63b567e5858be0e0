"""Tokens: what is minted is recognised, what is not is turned away without asking anybody."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from ias.contract import keys

TAG = "Ab3dEf9h"


def test_a_minted_token_names_its_organisation() -> None:
    token = keys.mint(TAG)
    assert len(token) == keys.TOKEN_LENGTH
    assert keys.tag_of(token.encode()) == TAG


def test_two_tokens_are_never_the_same() -> None:
    assert keys.mint(TAG) != keys.mint(TAG)


def test_only_the_fingerprint_of_a_token_is_stored() -> None:
    token = keys.mint(TAG)
    assert keys.fingerprint(token) == keys.fingerprint(token.encode()) == sha256(token.encode()).hexdigest()


def test_the_display_prefix_shows_four_characters_of_the_secret() -> None:
    token = keys.mint(TAG)
    assert token.startswith(keys.display_prefix(token))
    assert len(keys.display_prefix(token)) == len(f"ias_{TAG}_") + 4


@given(place=st.integers(0, keys.TOKEN_LENGTH - 1), other=st.sampled_from(keys.ALPHABET + "_-é "))
def test_a_token_with_one_character_changed_is_turned_away(place: int, other: str) -> None:
    token = keys.mint(TAG)
    changed = token[:place] + other + token[place + 1 :]
    assert changed == token or keys.tag_of(changed.encode()) is None


@given(st.binary(max_size=100))
def test_anything_else_is_turned_away(junk: bytes) -> None:
    assert keys.tag_of(junk) is None


def test_tags_are_eight_base62_characters() -> None:
    tag = keys.new_tag()
    assert len(tag) == keys.TAG_LENGTH
    assert set(tag) <= set(keys.ALPHABET)


def test_the_checksum_is_crc32_in_base62() -> None:
    assert keys.checksum(b"123456789") == _base62(0xCBF43926)


def _base62(number: int) -> bytes:
    digits = ""
    for _ in range(keys.CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits = keys.ALPHABET[digit] + digits
    return digits.encode()
