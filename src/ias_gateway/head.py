"""What a request's head must say before its body is read."""

import re

from ias_gateway.errors import ApiError

MAX_HEAD_BYTES = 16 * 1024
READ = frozenset((b"authorization", b"content-type", b"content-encoding", b"content-length", b"host", b"expect"))
"""The fields that are looked at; each at most once in a head."""
_LONGEST_LENGTH = 15
_JSON = b"application/json"
_HOST = re.compile(rb"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")


def fault_of(url: bytes, headers: dict[bytes, bytes], max_body_bytes: int) -> ApiError | None:
    """What is wrong with a head, None where nothing is. The parser lets through what is checked here."""
    if not url.startswith(b"/"):
        return ApiError(400, "The request target must be a path.")
    if _HOST.fullmatch(headers.get(b"host", b"")) is None:
        return ApiError(400, "The request has no Host header, or one that is no host.")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        return ApiError(415, "Send the body without Content-Encoding.")
    if headers.get(b"content-type", _JSON).partition(b";")[0].strip().lower() != _JSON:
        return ApiError(415, "Send the body as Content-Type: application/json.")
    length = headers.get(b"content-length", b"0")
    if len(length) > _LONGEST_LENGTH or int(length) > max_body_bytes:
        return body_too_large(max_body_bytes)
    return None


def head_too_large() -> ApiError:
    """The head has no end in sight."""
    return ApiError(431, f"The request's head is larger than {MAX_HEAD_BYTES} bytes.")


def body_too_large(limit: int) -> ApiError:
    """The body is longer than is accepted."""
    return ApiError(413, f"The body is larger than {limit} bytes.")
