"""What is fuzzed. A target takes any bytes; what it must not do is an AssertionError or any other exception."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from ias.contract import keys
from ias.gitops.documents.domain import Document
from ias.gitops.documents.reading import load
from ias_gateway import errors
from ias_gateway.admission import Caller, identify
from ias_gateway.bodies import form
from ias_gateway.bodies.endpoints import BY_PATH, JSON, Endpoint
from ias_gateway.bodies.strict import BadBody
from ias_gateway.errors import ApiError
from ias_gateway.response_events import ResponseScanner
from ias_gateway.scanner import Scanner
from ias_gateway.sse import EventTooLong, UsageScanner
from tests.fuzz import wires
from tests.fuzz.slices import cut, parted
from tests.fuzz.streams import script_of

_BREAKS = (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")
NEVER_SENT = frozenset(("priority", "request_id", "kv_transfer_params", "chat_template", "prompt_embeds"))
LONGEST_MESSAGE = 1000
MOST_TOKENS = 2**53
_STATUSES = (400, 404, 413, 422, 401, 429, 500, 501, 503, 302)
_ENDPOINTS = sorted(set(BY_PATH.values()), key=lambda endpoint: endpoint.path)


def body(data: bytes) -> None:
    """A body is refused in words, or what the engine gets says to every reader what the gateway read."""
    control, raw = parted(data)
    endpoint = _ENDPOINTS[control[0] % len(_ENDPOINTS)]
    try:
        read = endpoint.read(raw)
        read.ask(endpoint.name)
        read.wants_usage()
        read.beginning()
        sent = read.rebuild("inner", 7, "salt")
    except BadBody as error:
        _told(ApiError(400, error.message, param=error.param))
        return
    if endpoint.content_type == JSON:
        _one_meaning(sent)
    else:
        assert form.read(sent).texts["model"] == "inner"


def _told(error: ApiError) -> None:
    told = msgspec.json.decode(error.body)["error"]
    assert told["message"].endswith(".")
    assert len(told["message"]) < LONGEST_MESSAGE, told["message"][:200]


def _one_meaning(sent: bytes) -> None:
    """Python's reader, which engines use, must see what ours does, and every field once."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), f"a field is there twice: {[name for name, _ in pairs]}"
        return dict(pairs)

    def no_number(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    theirs = json.loads(sent.decode(), object_pairs_hook=once, parse_constant=no_number)
    assert theirs == msgspec.json.decode(sent)
    assert theirs["model"] == "inner"
    assert not NEVER_SENT & set(theirs)
    assert theirs.get("cache_salt", "salt") == "salt"


def multipart(data: bytes) -> None:
    """A form is refused in words, or written anew it is the same form."""
    try:
        read = form.read(data)
        written = form.write(read.texts, read.file)
    except BadBody as error:
        _told(ApiError(400, error.message, param=error.param))
        return
    assert form.read(written) == read


def key(data: bytes) -> None:
    """A token is taken only with its whole form and its checksum."""
    tag = keys.tag_of(data)
    if tag is not None:
        assert len(data) == keys.TOKEN_LENGTH
        assert data.isascii()
        assert keys.checksum(data[: -keys.CHECKSUM_LENGTH - 1]) == data[-keys.CHECKSUM_LENGTH :]
        assert data[4 : 4 + keys.TAG_LENGTH] == tag.encode()
    for header in (data, b"Bearer " + data):
        caller = _caller(header)
        if isinstance(caller, ApiError):
            assert caller.status == 401
            assert len(data) < 16 or data not in caller.body
        else:
            assert len(caller.tag) == keys.TAG_LENGTH
            assert len(caller.fingerprint) == 64


def _caller(header: bytes) -> Caller | ApiError:
    try:
        return identify(header)
    except ApiError as error:
        return error


def stream(data: bytes) -> None:
    """Whatever an engine streams, however it is cut, is read without an exception but `EventTooLong`."""
    control, payload = parted(data)
    for scanner in (_usage_scanner(control), ResponseScanner()):
        _fed(scanner, cut(control[1:] + control[:1], payload))


def script(data: bytes) -> None:
    """A stream as vLLM writes it reaches the client as it is, less the usage that was not asked for."""
    control, payload = parted(data)
    told = script_of(payload)
    include, continuous = bool(control[1] & 1), bool(control[1] & 2)
    whole, sliced = _usage_scanner(control), _usage_scanner(control)
    expected = told.for_client(include_usage=include, continuous=continuous)
    assert _fed(whole, [told.stream()]) == expected
    assert _fed(sliced, cut(control, told.stream())) == expected
    assert whole.done
    assert sliced.done
    assert told.tokens is not None or whole.events == sliced.events
    assert whole.tokens == sliced.tokens == told.tokens


def _usage_scanner(control: bytes) -> UsageScanner:
    return UsageScanner(include_usage=bool(control[1] & 1), continuous=bool(control[1] & 2), choices=1)


def _fed(scanner: Scanner, reads: list[bytes]) -> bytes:
    out = b""
    try:
        for read in reads:
            out += scanner.feed(read)
    except EventTooLong:
        pass
    tokens = scanner.tokens
    assert tokens is None or min(tokens) >= 0, tokens
    return out


def reported(data: bytes) -> None:
    """What an engine's answer reports is nothing, or tokens that can be charged; its errors become ours."""
    for endpoint in _ENDPOINTS:
        tokens = endpoint.reported(data)
        assert tokens is None or all(0 <= count < MOST_TOKENS for count in tokens), tokens
    control, payload = parted(data)
    error = errors.translate(_STATUSES[control[0] % len(_STATUSES)], payload, ("inner", "outer"))
    assert 400 <= error.status < 600
    assert set(msgspec.json.decode(error.body)["error"]) == {"message", "type", "param", "code"}


def head(data: bytes) -> None:
    """What a client sends gives the same requests and the same ending, however it is cut into reads.

    Where there is a fault, requests before it may be served or not, as they had been started or not.
    """
    control, payload = parted(data)
    (whole, closed), (sliced, also_closed) = wires.requests([payload]), wires.requests(cut(control, payload))
    assert closed == also_closed
    common = min(len(whole), len(sliced)) if closed else max(len(whole), len(sliced))
    assert whole[:common] == sliced[:common], (whole, sliced)


def answer(data: bytes) -> None:
    """What an engine sends is one answer or one failure, however it is cut into reads."""
    control, payload = parted(data)
    whole, sliced = wires.answers([payload]), wires.answers(cut(control, payload))
    assert whole == sliced, (whole, sliced)


def policy(data: bytes) -> None:
    """A policy file is a Document, or is refused with faults that have their places in it."""
    read = load(data)
    assert (read.document is None) == bool(read.faults)
    for fault in read.faults:
        assert 0 <= fault.line <= sum(map(data.count, _BREAKS)) + 1
        assert fault.detail
        assert fault.said("org.yaml").isprintable()
        assert len(fault.said("org.yaml")) < LONGEST_MESSAGE
    if read.document is not None:
        again = msgspec.json.encode(read.document)
        assert msgspec.json.decode(again, type=Document) == read.document
        assert load(again).document == read.document


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (body, multipart, key, stream, script, reported, head, answer, policy)
}


def endpoint_of(control: int) -> Endpoint:
    """The endpoint that a first byte chooses."""
    return _ENDPOINTS[control % len(_ENDPOINTS)]
