"""The Function library of `functions.lua`: how it is called and what it answers.

Calls are given as the arguments of one Redis command, so that the gateway's pipelined connection and the monolith's
client send the same thing. Token counts are integers, leases seconds, waits milliseconds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources

from ias.contract.admitted import Admitted
from ias.contract.answers import (
    BadKey,
    Duplicate,
    Near,
    NoImages,
    NotReady,
    OverBudget,
    OverRate,
    Rate,
    Refused,
    Reply,
    Standing,
    Suspended,
    TooLarge,
    UnknownModel,
    blob,
    read_limits,
    read_refusal,
    text,
)
from ias.contract.asks import NO_GUESS, NO_OUTPUT, NO_TOKENS, NOT_ASKED, Ask
from ias.contract.ticked import Ticked, read_tick
from ias.contract.told import entry_of, read_reserve, reservation, settlement

__all__ = (
    "LIBRARY",
    "LIBRARY_VERSION",
    "LIBRARY_VERSION_CALL",
    "NOT_ASKED",
    "NO_GUESS",
    "NO_OUTPUT",
    "NO_TOKENS",
    "PROJECTION_KEY",
    "Admitted",
    "Argument",
    "Ask",
    "BadKey",
    "Command",
    "Duplicate",
    "Near",
    "NoImages",
    "NotReady",
    "OverBudget",
    "OverRate",
    "Rate",
    "Refused",
    "Reply",
    "Standing",
    "Suspended",
    "Ticked",
    "TooLarge",
    "UnknownModel",
    "blob",
    "complete",
    "entry_of",
    "grant",
    "holder_of",
    "limits",
    "models",
    "outbox",
    "project",
    "read_limits",
    "read_refusal",
    "read_reserve",
    "read_tick",
    "reassert",
    "reservation",
    "reserve",
    "restore",
    "revoke",
    "settle",
    "settlement",
    "slot",
    "standing",
    "sweep",
    "text",
    "tick",
)

Argument = str | bytes | int
Command = tuple[Argument, ...]

_SOURCE = resources.files("ias.contract").joinpath("functions.lua").read_text()
LIBRARY_VERSION = hashlib.sha256(_SOURCE.encode()).hexdigest()[:16]
LIBRARY = _SOURCE.replace("@VERSION@", LIBRARY_VERSION)

PROJECTION_KEY = "ias:projection"
"""Set once every organisation has been projected; without it an unknown organisation is not proof of a bad key."""


def slot(tag: str) -> str:
    """The key that every call of an organisation names; its hash tag keeps all of it in one slot."""
    return f"{{o:{tag}}}"


def outbox(tag: str) -> str:
    """The organisation's outbox stream."""
    return f"{{o:{tag}}}:out"


def reserve(tag: str, fingerprint: str, request_id: str, ask: Ask, holder: tuple[str, int]) -> Command:
    """Hold tokens for a request. `holder` is the gateway's name and the lease in seconds."""
    return ("FCALL", "ias_reserve_packed", 1, slot(tag), reservation(fingerprint, request_id, ask, holder))


def tick(tag: str, lease: int, checkpoints: Sequence[Argument]) -> Command:
    """Extend leases; `checkpoints` is flat: request id, prompt, completion, cached tokens of each request."""
    return ("FCALL", "ias_tick", 1, slot(tag), lease, *checkpoints)


def reassert(tag: str, request_id: str, record: Sequence[Argument], holder: tuple[str, int]) -> Command:
    """Put back what Redis lost of a request under way, unless it knows of it.

    `record` is what was held: tokens, month, user, output limit; prompt, completion and cached tokens so far; key's id,
    fingerprint, model, its id, endpoint, 1 for a stream, and when it began in Unix microseconds.
    """
    gateway, lease = holder
    held, period, user, *rest = record
    return ("FCALL", "ias_reassert", 1, slot(tag), request_id, lease, held, period, user, gateway, *rest)


def settle(tag: str, request_id: str, tokens: tuple[int, int, int], ending: tuple[str, bool], facts: bytes) -> Command:
    """Close a request: prompt, completion and cached tokens, outcome and whether they are estimated.

    The caller appends `holder_of` so that a request which Redis lost is accounted all the same.
    """
    return ("FCALL", "ias_settle_packed", 1, slot(tag), settlement(request_id, tokens, ending), facts)


def holder_of(admitted: Admitted, gateway: str) -> Command:
    """The last arguments of `settle`: user, month and gateway."""
    return (admitted.user, admitted.period, gateway)


def sweep(tag: str, most: int) -> Command:
    """Settle up to `most` requests whose lease has lapsed."""
    return ("FCALL", "ias_sweep", 1, slot(tag), most)


def grant(tag: str, fingerprint: str, version: int, owner: tuple[str, str], expires_at: int | None) -> Command:
    """Let a key in. `owner` is its id and its user's; `expires_at` Unix seconds. The caller appends its rules."""
    return (
        "FCALL",
        "ias_grant",
        1,
        slot(tag),
        fingerprint,
        version,
        *owner,
        "" if expires_at is None else expires_at,
    )


def revoke(tag: str, fingerprint: str, version: int, owner: tuple[str, str]) -> Command:
    """Turn a key away from now on."""
    return ("FCALL", "ias_revoke", 1, slot(tag), fingerprint, version, *owner)


def project(tag: str, section: str, version: int, fields: Mapping[str, Argument]) -> Command:
    """Replace a section (`org`, `pol`, `routes`) unless a newer version is there."""
    flat = [part for pair in fields.items() for part in pair]
    return ("FCALL", "ias_project", 1, slot(tag), section, version, *flat)


def restore(tag: str, period: str, seen: int, used: int, parts: Mapping[str, int]) -> Command:
    """Say what of a month is used, where it was lost and Redis still says `seen`.

    `parts` are fields of members and of all capped keys. Answers 1; 0 where Redis knows; -1 where it says otherwise.
    """
    flat = [part for pair in parts.items() for part in pair]
    return ("FCALL", "ias_restore", 1, slot(tag), period, seen, used, *flat)


def complete(tag: str) -> Command:
    """Mark the organisation's projection as whole: from now on a missing key is a bad key."""
    return ("FCALL", "ias_complete", 1, slot(tag))


def models(tag: str, fingerprint: str) -> Command:
    """The routes that a key may call."""
    return ("FCALL_RO", "ias_models", 1, slot(tag), fingerprint)


def limits(tag: str, fingerprint: str) -> Command:
    """Every limit that applies to a key, and what is used of it."""
    return ("FCALL_RO", "ias_limits", 1, slot(tag), fingerprint)


def standing(tag: str, user: str) -> Command:
    """Used and held tokens of this month, of the organisation and of one user."""
    return ("FCALL_RO", "ias_standing", 1, slot(tag), user)


LIBRARY_VERSION_CALL: Command = ("FCALL_RO", "ias_version", 0)
