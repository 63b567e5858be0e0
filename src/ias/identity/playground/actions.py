"""Giving up the key that a browser's playground holds."""

from collections.abc import Mapping
from contextlib import suppress

from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.api_keys.actions import revoke
from ias.identity.playground.holding import held_key
from ias.problems import Problem


async def give_up(principal: Principal, cookies: Mapping[str, str], edge: Edge) -> None:
    """Revoke the key that is held, where it was made for the playground; one of the caller's own goes on working.

    Raises:
        EdgeDown: the key is revoked, but Redis does not know of it yet; the worker keeps trying.
    """
    held = held_key(cookies, principal)
    if held is None or held.key_id is None or not principal.may(Permission.KEYS_REVOKE):
        return
    with suppress(Problem):  # somebody may have revoked it already
        await revoke(principal, held.key_id, edge)
