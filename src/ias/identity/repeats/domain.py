"""What makes two requests the same, and answers that only who sent the key can read again.

An answer may hold a secret that is stored nowhere else, such as a key's token. It is kept sealed (AES-256-GCM) under
the idempotency key itself, of which only a digest is stored.
"""

import hashlib
import re
import secrets
from datetime import timedelta
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ias.problems import Conflict, FieldError, Problem

KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(seconds=60)
"""After so long without an answer, a request has died with its process."""
MOST_BYTES = 1 << 20
"""Of a request or an answer; longer ones are not kept."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NONCE = 12


class BadIdempotencyKey(Problem):
    """The header cannot be used as a key."""

    title = "Bad idempotency key"


class KeyReused(Problem):
    """The key was used for another request."""

    status = 422
    title = "Idempotency key was used for another request"


class StillUnderWay(Conflict):
    """The first request with this key is not answered yet."""

    title = "The first request is under way"
    retry_after_s = 1


class OutcomeUnknown(Conflict):
    """The first request with this key was never answered."""

    title = "Outcome unknown"


class SentBefore(Conflict):
    """A page's form was sent twice, by a second click or by loading its answer again."""

    title = "Sent before"


class Kept(msgspec.Struct, frozen=True):
    """An answer as it was given."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Sent(msgspec.Struct, frozen=True):
    """A request that may be repeated: whose it is, under which key, and the digest of what it asks for."""

    user_id: UUID
    key: str
    asked: bytes

    @property
    def key_hash(self) -> bytes:
        """What is stored of the key."""
        return hashlib.sha256(b"stored:" + self.user_id.bytes + self.key.encode()).digest()

    @property
    def secret(self) -> bytes:
        """What seals the answer: 32 bytes that cannot be told from `key_hash`."""
        return hashlib.sha256(b"sealed:" + self.user_id.bytes + self.key.encode()).digest()


def checked(key: str) -> str:
    """The key.

    Raises:
        BadIdempotencyKey: it is empty, too long, or not plain ASCII.
    """
    if _KEY.fullmatch(key) is None:
        said = "1 to 255 printable ASCII characters without spaces, such as a UUID"
        fault = FieldError(msgspec.UNSET, said, header="Idempotency-Key")
        raise BadIdempotencyKey(f"Idempotency-Key: send {said}", (fault,))
    return key


def digest(method: str, path: str, query: bytes, body: bytes) -> bytes:
    """SHA-256 of a request: repeated ones have the same."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), query, body))).digest()


def seal(answer: Kept, secret: bytes) -> bytes:
    """The answer for storing."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(secret).encrypt(nonce, msgspec.msgpack.encode(answer), None)


def unseal(sealed: bytes, secret: bytes) -> Kept:
    """The answer again.

    Raises:
        OutcomeUnknown: what is stored is damaged.
    """
    try:
        plain = AESGCM(secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag:
        raise OutcomeUnknown("the stored answer cannot be read; look whether it was done before trying again") from None
    return msgspec.msgpack.decode(plain, type=Kept)
