"""Where Redis is, in one URL: one server, a master that sentinels name, or a cluster; the same for every process."""

from enum import StrEnum
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

import msgspec

Address = tuple[str, int]
"""Host and port."""

FORMS = (
    "redis://[user:password@]host[:port][/database] for one server, "
    "redis+sentinel://[user:password@]host[:port],…/master[?db=0] for the master that sentinels name, "
    "or redis+cluster://[user:password@]host[:port],… for a cluster; with TLS the scheme begins with rediss"
)
_PORT = 6379
_SENTINEL_PORT = 26379
_MOST_PORT = 65535
_OPTIONS = frozenset({"db", "sentinel_user", "sentinel_password"})


class Kind(StrEnum):
    """What stands behind the URL."""

    ALONE = "redis"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


class RedisUrl(msgspec.Struct, frozen=True):
    """A URL as read. `nodes` are the server, the sentinels, or some servers of the cluster; empty text is none."""

    kind: Kind
    nodes: tuple[Address, ...]
    tls: bool = False
    user: str = ""
    password: str = ""
    database: int = 0
    master: str = ""
    sentinel_user: str = ""
    sentinel_password: str = ""


def read_redis_url(url: str) -> RedisUrl:
    """Read a URL.

    Raises:
        ValueError: it is of no form that is known; the message says which are, and shows no password.
    """
    scheme, found, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    kind, tls = _kind(scheme) if found else _refuse("it has no scheme")
    options = _options(query, kind)
    read = RedisUrl(
        kind=kind,
        nodes=tuple(_address(host, _SENTINEL_PORT if kind is Kind.SENTINEL else _PORT) for host in hosts.split(",")),
        tls=tls,
        user=unquote(user),
        password=unquote(password),
        database=_database(options.get("db") or ("" if kind is Kind.SENTINEL else path)),
        master=unquote(path) if kind is Kind.SENTINEL else "",
        sentinel_user=options.get("sentinel_user", ""),
        sentinel_password=options.get("sentinel_password", ""),
    )
    return _checked(read)


def checked_redis_url(url: str) -> str:
    """The URL as it is, for settings.

    Raises:
        ValueError: it is of no form that is known.
    """
    read_redis_url(url)
    return url


def _kind(scheme: str) -> tuple[Kind, bool]:
    tls = scheme.startswith("rediss")
    plain = scheme.replace("rediss", "redis", 1) if tls else scheme
    return (Kind(plain), tls) if plain in set(Kind) else _refuse("its scheme is unknown")


def _options(query: str, kind: Kind) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - (_OPTIONS if kind is Kind.SENTINEL else {"db"}))
    return _refuse(f"there is no option {', '.join(unknown)}") if unknown else options


def _address(text: str, port: int) -> Address:
    host, colon, given = text.rpartition(":") if ":" in text and not text.endswith("]") else (text, "", "")
    if colon and not (given.isascii() and given.isdecimal() and 0 < int(given) <= _MOST_PORT):
        _refuse("a port is a number from 1 to 65535")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare and bare == host):
        _refuse("a host is missing, or an IPv6 address is not in brackets")
    return bare, int(given) if colon else port


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        _refuse("the database is a number")
    return int(text or 0)


def _checked(read: RedisUrl) -> RedisUrl:
    if read.kind is Kind.ALONE and len(read.nodes) > 1:
        _refuse("several servers are redis+sentinel:// or redis+cluster://")
    if read.kind is Kind.SENTINEL and not read.master:
        _refuse("after the sentinels comes / and the name of the master")
    if read.kind is Kind.CLUSTER and read.database:
        _refuse("a cluster has the database 0 only")
    return read


def _refuse(why: str) -> NoReturn:
    raise ValueError(f"{why}; give {FORMS}")
