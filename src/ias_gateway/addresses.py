"""Where an engine's host name leads: looked up once for each connection, checked, and connected to as it is.

A name is checked by what it leads to, and nothing is looked up between the check and the connection: a name that
changes its address in between gains nothing.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from time import monotonic

from ias.contract.addresses import Network, why_not
from ias_gateway.log import Log

SAY_AGAIN_S = 60.0


class AddressRefused(OSError):
    """The name leads to where no engine may be; the text says what to do."""


class Addresses:
    """Looks up names.

    Args:
        allowed: networks that the deployment allows beyond the usual ones.
        log: where refusals are told, once a minute for a host.
    """

    def __init__(self, allowed: Sequence[Network], log: Log | None = None) -> None:
        self._allowed = allowed
        self._log = log
        self._said: dict[str, float] = {}

    async def lookup(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, in order.

        Raises:
            OSError: there is no such name, or (`AddressRefused`) it leads to where no engine may be.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        fit, why = [], "no address"
        for address in addresses:
            refused = why_not(ip_address(address), self._allowed)
            if refused is None:
                fit.append(address)
            else:
                why = f"{refused} ({address})"
        if not fit:
            raise self._refused(host, why)
        return fit

    def _refused(self, host: str, why: str) -> AddressRefused:
        now = monotonic()
        text = f"{host} leads to {why}, where no engine may be; list its network in IAS_UPSTREAM_ALLOW if one is there"
        if self._log is not None and now - self._said.get(host, -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said[host] = now
            self._log.line("error", "an engine's address is refused", host=host, why=text)
        return AddressRefused(text)


STRICT = Addresses(())
"""Allows nothing beyond the usual."""
