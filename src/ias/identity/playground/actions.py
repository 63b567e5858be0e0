"""Making the key that a browser's playground holds, and giving it up."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar.datastructures import Cookie

from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.api_keys.actions import issue, revoke
from ias.identity.api_keys.domain import KnownModels, NewKey
from ias.identity.playground.holding import HELD_S, held_key, hold, hold_sealed
from ias.identity.repeats.actions import begin, finish
from ias.identity.repeats.domain import UNDER_WAY, Kept, Sent, StillUnderWay, digest
from ias.problems import Problem
from ias.telemetry import now

_LABEL: Final = "Playground"
_AGAIN_S: Final = 0.1
_WAITS_S: Final = 10


async def make(principal: Principal, cookies: Mapping[str, str], edge: Edge, known: KnownModels) -> Cookie:
    """Issue a key for an hour in place of the one that is held; the cookie that holds it.

    Asked for twice at once, or once more by a browser that has not seen the answer, it is made once: until it is given
    up, a session has one key in the place of another. The answer that is kept for this is the cookie, which is sealed.

    Raises:
        StillUnderWay: it is being made, and that takes long.
        EdgeDown: Redis did not confirm; the key does not work.
    """
    held = held_key(cookies, principal)
    instead = None if held is None else held.key_id
    sent = _sent(principal, instead)
    before = await _begun(sent)
    if before is not None:
        return hold_sealed(before.body.decode())
    try:
        await give_up(principal, cookies, edge)
        key = await issue(principal, NewKey(_LABEL, now() + timedelta(seconds=HELD_S)), edge, known)
    except BaseException:
        await finish(sent, None)
        raise
    cookie = hold(principal, key.token, key.id, instead)
    await finish(sent, Kept(200, (), (cookie.value or "").encode()))
    return cookie


async def give_up(principal: Principal, cookies: Mapping[str, str], edge: Edge) -> None:
    """Revoke the key that is held, where it was made for the playground; one of the caller's own goes on working.

    Raises:
        EdgeDown: the key is revoked, but Redis does not know of it yet; the worker keeps trying.
    """
    held = held_key(cookies, principal)
    if held is None or held.key_id is None or not principal.may(Permission.KEYS_REVOKE):
        return
    await finish(_sent(principal, held.instead), None)
    with suppress(Problem):  # somebody may have revoked it already
        await revoke(principal, held.key_id, edge)


def _sent(principal: Principal, instead: UUID | None) -> Sent:
    """What a session asks for that wants a key in place of another."""
    asked = digest("POST", "playground", b"", b"")
    return Sent(principal.user_id, f"playground {principal.session_id} {instead}", asked)


async def _begun(sent: Sent) -> Kept | None:
    """None where the key is to be made now, else the answer of whoever makes it, once it is there."""
    for _ in range(int(_WAITS_S / _AGAIN_S)):
        with suppress(StillUnderWay):
            return await begin(sent, UNDER_WAY)
        await asyncio.sleep(_AGAIN_S)
    raise StillUnderWay("your key is being made; open the playground again in a moment")
