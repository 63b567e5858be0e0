"""API key tokens: their form, their checksum, and the fingerprint that is stored instead of them.

A token is `ias_<8 base62: organisation tag>_<43 base62: 256 random bits>_<6 base62: CRC-32>`. The tag routes a
request to its organisation's slot in Redis, the checksum turns junk away without asking Redis, and scanners can find
leaked tokens by form and checksum alone.
"""

import hashlib
import re
import secrets
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TAG_LENGTH = 8
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
TOKEN_LENGTH = 4 + TAG_LENGTH + 1 + SECRET_LENGTH + 1 + CHECKSUM_LENGTH

_FORM = re.compile(rb"ias_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}_([0-9A-Za-z]{6})")
_SIGNED_LENGTH = TOKEN_LENGTH - CHECKSUM_LENGTH - 1


def new_tag() -> str:
    """A random organisation tag, 8 base62 characters (47 bits); the caller keeps it unique."""
    return _random(TAG_LENGTH)


def mint(tag: str) -> str:
    """A fresh token for the organisation with this tag."""
    signed = f"ias_{tag}_{_random(SECRET_LENGTH)}"
    return f"{signed}_{checksum(signed.encode()).decode()}"


def fingerprint(token: str | bytes) -> str:
    """SHA-256 of the whole token, 64 hexadecimal digits: the only thing of it that is stored."""
    return hashlib.sha256(token if isinstance(token, bytes) else token.encode()).hexdigest()


def display_prefix(token: str) -> str:
    """The part of a token that may be shown again: its tag and the first four characters of its secret."""
    return token[: 4 + TAG_LENGTH + 1 + 4]


def tag_of(token: bytes) -> str | None:
    """The organisation tag of a well-formed token whose checksum holds, else None."""
    match = _FORM.fullmatch(token)
    if match is None or checksum(token[:_SIGNED_LENGTH]) != match[2]:
        return None
    return match[1].decode()


def checksum(signed: bytes) -> bytes:
    """CRC-32 (ISO-HDLC, as zlib computes it) of the signed part in six base62 digits, most significant first."""
    rest = zlib.crc32(signed)
    digits = bytearray(CHECKSUM_LENGTH)
    for place in range(CHECKSUM_LENGTH - 1, -1, -1):
        rest, digit = divmod(rest, len(ALPHABET))
        digits[place] = ord(ALPHABET[digit])
    return bytes(digits)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
