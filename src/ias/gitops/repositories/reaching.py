"""Where a Git host's name leads: looked up once for each fetch, checked, and connected to as it is.

The rule is the one of engines (`ias.contract.addresses`). Nothing is looked up between the check and the connection:
a name that changes its address in between gains nothing.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from ias.contract.addresses import Network, why_not
from ias.gitops.repositories.git import GitFailed

LOOKUP_S: Final = 10.0
TRY_S: Final = 5.0


async def lookup(host: str, port: int) -> list[str]:
    """The addresses of a name, in order.

    Raises:
        OSError: there is no such name.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


async def checked(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """Those of them that repositories may be fetched from.

    Raises:
        GitFailed: there is none; says why.
    """
    try:
        async with asyncio.timeout(LOOKUP_S):
            addresses = await lookup(host, port)
    except TimeoutError:
        raise GitFailed(f"{host} could not be looked up within {LOOKUP_S:.0f} s") from None
    except OSError as error:
        raise GitFailed(f"{host} could not be looked up: {error.strerror}") from None
    refused = {address: why_not(ip_address(address), allowed) for address in addresses}
    fit = [address for address, why in refused.items() if why is None]
    if not fit:
        address, why = next(iter(refused.items()), ("none", "no address"))
        said = "no repository is fetched from there; list its network in IAS_UPSTREAM_ALLOW if one is there"
        raise GitFailed(f"{host} leads to {why} ({address}): {said}")
    return fit


async def answering(addresses: Sequence[str], port: int) -> str:
    """The first of these where somebody listens; the last where nobody does, which is then told of."""
    for address in addresses[:-1]:
        with suppress(OSError):
            async with asyncio.timeout(TRY_S):
                _, writer = await asyncio.open_connection(address, port)
            writer.close()
            return address
    return addresses[-1]
