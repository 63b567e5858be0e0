"""API key tokens: their form holds, and a mistyped one is junk."""

import hashlib
import re
import string

from hypothesis import given
from hypothesis import strategies as st

from ias.contract import keys

TAGS = st.text(st.sampled_from(keys.ALPHABET), min_size=keys.TAG_LENGTH, max_size=keys.TAG_LENGTH)
PRINTABLE = string.ascii_letters + string.digits + "_-~ ."


@given(TAGS)
def test_a_minted_token_tells_its_organisation(tag: str) -> None:
    token = keys.mint(tag)
    assert len(token) == keys.TOKEN_LENGTH
    assert re.fullmatch(r"ias_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", token)
    assert keys.tag_of(token.encode()) == tag


@given(TAGS, st.integers(0, keys.TOKEN_LENGTH - 1), st.sampled_from(PRINTABLE))
def test_a_token_with_any_one_character_changed_is_turned_away(tag: str, place: int, other: str) -> None:
    token = keys.mint(tag)
    changed = token[:place] + other + token[place + 1 :]
    assert keys.tag_of(changed.encode()) == (tag if changed == token else None)


@given(st.binary(max_size=80))
def test_junk_is_turned_away_and_never_raises(junk: bytes) -> None:
    assert keys.tag_of(junk) is None


def test_a_token_with_something_before_or_behind_it_is_turned_away() -> None:
    token = keys.mint("abcdEFGH").encode()
    for spoilt in (token + b"\n", b" " + token, token + b"x", token[:-1], token.upper()):
        assert keys.tag_of(spoilt) is None


def test_a_fingerprint_is_the_sha256_of_the_whole_token() -> None:
    token = keys.mint("abcdEFGH")
    assert keys.fingerprint(token) == hashlib.sha256(token.encode()).hexdigest()
    assert keys.fingerprint(token) == keys.fingerprint(token.encode())


def test_the_prefix_that_is_shown_again_holds_four_characters_of_the_secret() -> None:
    token = keys.mint("abcdEFGH")
    assert keys.display_prefix(token) == token[:17]
    assert keys.display_prefix(token).startswith("ias_abcdEFGH_")


def test_two_tokens_and_two_tags_are_never_the_same() -> None:
    assert len({keys.mint("abcdEFGH") for _ in range(100)}) == 100
    assert len({keys.new_tag() for _ in range(100)}) == 100
    assert all(len(keys.new_tag()) == keys.TAG_LENGTH for _ in range(10))


def test_the_checksum_is_the_standard_one_so_that_scanners_can_check_it() -> None:
    # 0xCBF43926 is the published check value of CRC-32/ISO-HDLC.
    value, digits = 0xCBF43926, ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = keys.ALPHABET[digit] + digits
    assert keys.checksum(b"123456789").decode() == digits
