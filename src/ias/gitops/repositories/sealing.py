"""Credentials as they are stored: sealed with a key that follows from the platform's secret."""

from base64 import urlsafe_b64encode

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ias.gitops.repositories.credentials import Credential
from ias.gitops.repositories.git import GitFailed


def sealed(credential: Credential, secret: str) -> bytes | None:
    """What is stored of a credential; None of an empty one."""
    return None if credential == Credential() else _box(secret).encrypt(msgspec.json.encode(credential))


def opened(stored: bytes | None, secret: str) -> Credential:
    """The credential.

    Raises:
        GitFailed: it was sealed with another secret.
    """
    if stored is None:
        return Credential()
    try:
        return msgspec.json.decode(_box(secret).decrypt(stored), type=Credential)
    except (InvalidToken, msgspec.MsgspecError):
        raise GitFailed("the credential was sealed with another IAS_JWT_SECRET; enable Git again with it") from None


def _box(secret: str) -> Fernet:
    key = HKDF(SHA256(), 32, salt=None, info=b"ias gitops credentials").derive(secret.encode())
    return Fernet(urlsafe_b64encode(key))
