"""What a cookie holds for the console alone: sealed, so that neither the browser nor who takes its files reads it."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ias.settings import settings


def seal(value: bytes, purpose: str) -> str:
    """As a cookie holds it; what is sealed for one purpose opens for no other."""
    return _box(purpose).encrypt(value).decode().rstrip("=")


def unseal(cookie: str, purpose: str) -> bytes | None:
    """What was sealed; None where it was not by this platform, or for something else."""
    try:
        return _box(purpose).decrypt(cookie + "=" * (-len(cookie) % 4))
    except (InvalidToken, ValueError):
        return None


def _box(purpose: str) -> Fernet:
    secret = settings().jwt_secret.get_secret_value().encode()
    key = HKDF(SHA256(), 32, salt=None, info=f"ias console {purpose}".encode()).derive(secret)
    return Fernet(urlsafe_b64encode(key))
