"""What a new connection to Redis says before it is used, and what the server tells of itself."""

import re

import msgspec

from ias.contract.redis_url import RedisUrl

Greeting = tuple[str, ...]

INTRODUCTION: Greeting = ("INFO", "server", "replication")

_TOLD = re.compile(rb"^(run_id|role|master_replid):(\w+)", re.MULTILINE)


class Server(msgspec.Struct, frozen=True):
    """A server as it introduces itself. Another run, or another history of its data, is another server."""

    run: bytes
    history: bytes
    master: bool


def greetings(url: RedisUrl) -> list[Greeting]:
    """What has to succeed before a connection is used; PING fails while Redis loads or cannot write."""
    said = [*login(url.user, url.password)]
    if url.database:
        said.append(("SELECT", str(url.database)))
    return [*said, ("PING",)]


def login(user: str, password: str) -> list[Greeting]:
    """How one says who one is; nothing where no password is known."""
    if not password:
        return []
    return [("AUTH", user, password) if user else ("AUTH", password)]


def server_of(told: object) -> Server | None:
    """Who answered the introduction; None where that cannot be read."""
    parts = dict(_TOLD.findall(told)) if isinstance(told, bytes) else {}
    run = parts.get(b"run_id")
    if run is None:
        return None
    return Server(run, parts.get(b"master_replid", b""), parts.get(b"role") == b"master")
