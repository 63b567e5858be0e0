"""What a request's head must say before its body is read, and the bounds of what a server takes in."""

import re
from collections.abc import Callable, Iterable, Mapping

from ias_gateway.errors import ApiError
from ias_gateway.room import Room
from ias_gateway.spans import Span

MAX_HEAD_BYTES = 16 * 1024
MAX_FIELDS = 100
MIN_BODY_BYTES_PER_S = 1024
OF_STRANGERS_BYTES = 16 * 1024
"""The longest body of who shows no key: it would only be thrown away."""
UNHURRIED_S = 5.0
"""How long a body may take before its speed is looked at."""
SINGLE = frozenset(
    (
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"host",
        b"expect",
        b"traceparent",
        b"transfer-encoding",
    )
)
"""The fields that are looked at; each at most once in a head, but for `traceparent`, which then says nothing."""
METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
_LONGEST_LENGTH = 15
_REMEMBERED_HOSTS = 1024
_JSON = b"application/json"
_FORM = b"multipart/form-data"
_HOST = re.compile(rb"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")


class Bounds:
    """What a server takes in, and how long it waits for it.

    Args:
        max_body_bytes: the longest body.
        hosts: the names that this server goes by, with a port where only that one is meant; none for any name.
        forms: paths that take `multipart/form-data`, and the longest body of each.
        head_s: seconds in which a head must have come.
        body_s: seconds in which a body must have come; meanwhile at least 1 KB/s.
        stalled_s: seconds for which a client may leave unread what was written to it.

    Attributes:
        room: for bodies that are coming, of a server whose callers show a key; None where nobody has to.
        traced: begins the span of a request that has this `traceparent`; None where nothing is traced.
    """

    def __init__(  # noqa: PLR0913 - one for each limit
        self,
        max_body_bytes: int,
        *,
        hosts: Iterable[str] = (),
        forms: Mapping[bytes, int] | None = None,
        head_s: float = 10.0,
        body_s: float = 30.0,
        stalled_s: float = 30.0,
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self.forms = dict(forms or {})
        self.head_s = head_s
        self.body_s = body_s
        self.stalled_s = stalled_s
        self.room: Room | None = None
        self.traced: Callable[[bytes], Span | None] | None = None
        self._allowed = frozenset(host.lower().encode() for host in hosts)
        self._served: set[bytes] = set()

    def longest(self, path: bytes) -> int:
        """The longest body for a path, in bytes."""
        return self.forms.get(path, self.max_body_bytes)

    def host_fault(self, host: bytes) -> ApiError | None:
        """What is wrong with a Host, None where nothing is. Those that are served are remembered."""
        if _HOST.fullmatch(host) is None:
            return ApiError(400, "The request has no Host header, or one that is no host.")
        name = host.lower()
        if self._allowed and not {name, _without_port(name)} & self._allowed:
            return ApiError(421, "This server does not go by that Host; use the base URL that you were given.")
        if len(self._served) >= _REMEMBERED_HOSTS:
            self._served.clear()
        self._served.add(host)
        return None

    def fault_of(self, method: bytes, path: bytes, headers: dict[bytes, bytes]) -> ApiError | None:
        """What is wrong with a head, None where nothing is. The parser lets through what is checked here."""
        if headers.get(b"host") not in self._served:
            fault = self.host_fault(headers.get(b"host", b""))
            if fault is not None:
                return fault
        if not path.startswith(b"/"):
            return ApiError(400, "The request target must be a path.")
        if method not in METHODS:
            return ApiError(405, "This method is not served; use GET or POST.", headers=(("allow", "GET, POST"),))
        return self._body_fault(path, headers)

    def _body_fault(self, path: bytes, headers: dict[bytes, bytes]) -> ApiError | None:
        expected = _FORM if path in self.forms else _JSON
        content_type = headers.get(b"content-type", expected)
        if content_type != expected and content_type.partition(b";")[0].strip().lower() != expected:
            return ApiError(415, f"Send the body as Content-Type: {expected.decode()}.")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return ApiError(415, "Send the body without Content-Encoding.")
        if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return ApiError(400, "The only Transfer-Encoding that is read is chunked.")
        length = headers.get(b"content-length", b"0")
        if len(length) > _LONGEST_LENGTH or int(length) > self.longest(path):
            return body_too_large(self.longest(path))
        return None


def hosts(text: str) -> tuple[str, ...]:
    """The names of a list with commas.

    Raises:
        ValueError: names the one that is no host.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not name.isascii() or _HOST.fullmatch(name.encode()) is None:
            raise ValueError(f"{name!r} is no host name; write them as api.example.com or api.example.com:8443")
    return names


def too_slow(took_s: float, length: int) -> bool:
    """Whether a body of which so many bytes came in this time is too slow, all of it taken together."""
    return took_s > UNHURRIED_S and length < took_s * MIN_BODY_BYTES_PER_S


def head_too_large() -> ApiError:
    """The head has no end in sight."""
    return ApiError(431, f"The request's head is larger than {MAX_HEAD_BYTES} bytes.")


def body_too_large(limit: int) -> ApiError:
    """The body is longer than is accepted."""
    return ApiError(413, f"The body is larger than {limit} bytes.")


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host
