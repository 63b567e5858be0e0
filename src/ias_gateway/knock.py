"""One request to a replica on a connection of its own, and its whole answer: for a trial that no client waits for.

What is sent and where it may go is what a client's request would be and could: the same message, the same rule of
addresses, no redirect followed. The answer is bounded, and its `x-request-id` is looked at.
"""

import asyncio
import ssl
from urllib.parse import urlsplit

import httptools
import msgspec

from ias_gateway.addresses import Addresses
from ias_gateway.tls import client_context

MAX_ANSWER_BYTES = 1024 * 1024
_PIECE = 64 * 1024
_FINAL = 200


class NoAnswer(Exception):
    """The replica did not answer; the text says why, in a few words and without anything of what it sent."""


class Heard(msgspec.Struct):
    """A whole answer."""

    status: int
    request_id: str
    body: bytes


async def knock(base_url: str, addresses: Addresses, message: bytes) -> Heard:
    """Send a whole request and wait for its whole answer; the caller limits the time.

    Raises:
        NoAnswer: there is none, or it is not HTTP, or has no end.
    """
    try:
        reader, writer = await _open(base_url, addresses)
    except OSError as error:
        raise NoAnswer(_short(error)) from None
    try:
        writer.write(message)
        return await _heard(reader)
    except (ConnectionError, ssl.SSLError) as error:
        raise NoAnswer(f"the connection was lost: {_short(error)}") from None
    finally:
        writer.transport.abort()


async def _open(base_url: str, addresses: Addresses) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address that takes one, each as it was looked up and checked."""
    at = urlsplit(base_url)
    tls = client_context() if at.scheme == "https" else None
    host, port = at.hostname or "", at.port or (443 if tls else 80)
    failure = OSError("there is no address")
    for address in await addresses.lookup(host, port):
        try:
            return await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls else None)
        except OSError as error:
            failure = error
    raise failure


async def _heard(reader: asyncio.StreamReader) -> Heard:
    answer, total = _Answer(), 0
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete:
        piece = await reader.read(_PIECE)
        if not piece:
            raise NoAnswer("it closed the connection before its answer was complete")
        total += len(piece)
        if total > MAX_ANSWER_BYTES:
            raise NoAnswer(f"its answer is longer than {MAX_ANSWER_BYTES // 1024} KiB")
        try:
            parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise NoAnswer("what it answers is not HTTP") from None
        if parser.get_status_code() < _FINAL:
            answer.complete = False
    return Heard(parser.get_status_code(), answer.request_id, bytes(answer.body))


class _Answer:
    """What the parser tells. A message of 1xx only says that the answer will come."""

    def __init__(self) -> None:
        self.request_id = ""
        self.body = bytearray()
        self.complete = False

    def on_message_begin(self) -> None:
        self.complete = False
        self.request_id = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-request-id":
            self.request_id = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.complete = True


def _short(error: OSError) -> str:
    """The system's word for it; a certificate's fault has one of its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__
