"""Which addresses an engine may have: one rule for whoever saves a URL and for whoever connects to it.

This machine, its link, and the metadata services of clouds are no engines, unless the deployment lists their network.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_METADATA = tuple(
    ip_network(network)
    for network in (
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::254/128",  # Amazon
        "fd00:42::42/128",  # Scaleway
        "fd20:ce::254/128",  # Google
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a list with commas, such as `127.0.0.0/8, ::1`.

    Raises:
        ValueError: names the one that is no network.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def allows(allowed: Sequence[Network], address: Address) -> bool:
    """Whether the deployment lists a network that the address is in, however IPv6 wraps it."""
    inner = unwrapped(address)
    return any(address in network or inner in network for network in allowed)


def why_not(address: Address, allowed: Sequence[Network]) -> str | None:
    """What the address is, such as `a loopback address`, where no engine may be there; None where one may."""
    if allows(allowed, address):
        return None
    inner = unwrapped(address)
    kinds = (
        (any(inner in network for network in _METADATA), "a cloud's metadata service"),
        (inner.is_loopback, "a loopback address"),
        (inner.is_link_local, "a link-local address"),
        (inner.is_multicast, "a multicast address"),
        (inner.is_unspecified or inner.is_reserved or inner in _THIS_NETWORK, "a reserved address"),
    )
    return next((kind for holds, kind in kinds if holds), None)


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64), else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


_THIS_NETWORK = IPv4Network("0.0.0.0/8")
