"""Links of invites that no person made: they can be told again, since their tokens follow from their ids."""

import hmac
from base64 import urlsafe_b64encode
from urllib.parse import quote
from uuid import UUID

from ias.identity.sessions.domain import digest
from ias.settings import settings

_PURPOSE = b"ias invite of git "


def token_of(invite_id: UUID) -> str:
    """The token of such an invite."""
    secret = settings().jwt_secret.get_secret_value().encode()
    return urlsafe_b64encode(hmac.digest(secret, _PURPOSE + invite_id.bytes, "sha256")).rstrip(b"=").decode()


def link_of(invite_id: UUID, token_hash: str) -> str:
    """The link of an invite; empty where a person made it, or the secret is another one by now."""
    token = token_of(invite_id)
    if not hmac.compare_digest(digest(token), token_hash):
        return ""
    return f"{settings().api_url}/accept-invite?token={quote(token)}"
