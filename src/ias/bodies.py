"""What is sent: decoded strictly into the Struct that a handler takes, or refused with every fault at once.

Litestar would take `"5"` for 5. Here types are those of JSON. Each top-level field tells its first fault.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Final

import msgspec
from litestar import Request
from litestar.datastructures import State

from ias.problems import BadRequest, FieldError, NotJson

JSON: Final = "application/json"
SAID: Final = 120
"""So much of a field's name is repeated in an answer."""
MOST: Final = 50
"""Faults that are told at once: finding and telling more would cost more than their sender pays."""

_AT = re.compile(r"(?P<said>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_NAMED = re.compile(r"Object (?P<kind>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_TYPE = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")
_JSON_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


class JsonRequest(Request[object, object, State]):
    """A request whose JSON is what its handler takes, or refused."""

    async def json(self) -> object:
        """The body.

        Raises:
            NotJson: it says that it is something else.
            BadRequest: it is not JSON, or not what the handler takes; names every fault.
        """
        kind = self.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if kind != JSON:
            raise NotJson(f"send the body as Content-Type: {JSON}")
        return decoded(await self.body(), self.route_handler.parsed_fn_signature.parameters["data"].annotation)


def decoded(body: bytes, kind: type[object]) -> object:
    """A Struct of this kind.

    Raises:
        BadRequest: it is not JSON, or is not of the kind; names its faults, fifty at most.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        faults = tuple(islice(_faults(_untyped(body), kind), MOST)) or (fault_of(str(error)),)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        faults = (FieldError("", f"is not JSON: {error}"),)
    raise BadRequest("; ".join(fault.said() for fault in faults), faults)


def _untyped(body: bytes) -> object:
    """What is sent, whatever it is; nothing where that cannot be held."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def fault_of(said: str, within: str = "") -> FieldError:
    """What msgspec says, as a fault; `within` is the pointer to what it speaks of."""
    match = _AT.fullmatch(said)
    text, path = (said, "") if match is None else (match["said"], match["path"] or "")
    pointer = within + "".join(f"/{_escaped(name or index)}" for name, index in _STEP.findall(path))
    named = _NAMED.fullmatch(text)
    if named is None:
        return FieldError(pointer, in_json_terms(text))
    detail = "is required" if named["kind"].startswith("missing") else "there is no such field"
    return FieldError(f"{pointer}/{_escaped(named['name'])}", detail)


def in_json_terms(said: str) -> str:
    """The same, with the names that types have in JSON."""
    text = _TYPE.sub(lambda match: " or ".join(map(_json_name, match[1].split(" | "))), said)
    return text[:1].lower() + text[1:]


def _json_name(name: str) -> str:
    return _JSON_NAMES.get(name, name)


def _faults(sent: object, kind: type[object]) -> Iterator[FieldError]:
    """The first fault of each field."""
    if not isinstance(sent, Mapping) or not issubclass(kind, msgspec.Struct):
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in (each for each in sent if each not in fields):
        yield FieldError(f"/{_escaped(name)}", _unknown(name, list(fields)))
    for name, field in fields.items():
        if name not in sent and field.required:
            yield FieldError(f"/{name}", "is required")
        elif name in sent:
            yield from _fault_in(sent[name], field.type, f"/{name}")


def _fault_in(value: object, kind: type[object], pointer: str) -> Iterator[FieldError]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield fault_of(str(error), pointer)


def _unknown(name: str, known: list[str]) -> str:
    alike = get_close_matches(name[:SAID], known, 1)
    return f"there is no such field; did you mean {alike[0]}?" if alike else "there is no such field"


def _escaped(name: str) -> str:
    """As JSON pointers write it (RFC 6901)."""
    return name[:SAID].replace("~", "~0").replace("/", "~1")
