"""Strict decoding: an unknown field is refused by name, and what cannot be read is said in words.

Only the rebuilt body travels, so that gateway and engine cannot disagree about what a request says.
"""

import re
from typing import Annotated, Final, TypeVar

import msgspec

JSON = object
"""Any JSON value (msgspec reads `object` so)."""

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that an engine can hold."""
Token = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A token's number. An engine that looked another one up could end of it."""

_T = TypeVar("_T")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_MISSING = re.compile(r"missing required field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_REPEATS = ("Invalid enum value", "Invalid value")
_LONGEST_NAME = 100

MAX_DEPTH = 64
"""Of any JSON value, such as the parameters of a tool; engines read some hundred levels, and fail at more."""
OF_THE_ENGINE = frozenset(
    (
        *("chat_template", "conversation", "tokenize", "padding", "truncation", "max_length", "return_tensors"),
        *("return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs"),
    )
)
"""Arguments of a template's application that are no variables of the template."""
_MARKS = (b",", b":", b"[", b"]", b"{", b"}")
_DEEP = "The JSON body of your request is nested too deeply."
_encode: Final = msgspec.json.Encoder().encode


class BadBody(Exception):
    """The body is refused; `param` names the field where one is to blame."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def decode(decoder: msgspec.json.Decoder[_T], raw: bytes) -> _T:
    """The body, fully typed.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing or of the wrong type.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBody(f"We could not parse the JSON body of your request: {error}.") from None
    except RecursionError:
        raise BadBody(_DEEP) from None


def convert(texts: dict[str, str | list[str]], kind: type[_T]) -> _T:
    """The fields of a form, fully typed.

    Raises:
        BadBody: a field is unknown, missing or of the wrong type.
    """
    try:
        return msgspec.convert(texts, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None


def encode(value: object) -> bytes:
    """JSON.

    Raises:
        BadBody: it is nested so deeply that it could be read, but not be written from here.
    """
    try:
        return _encode(value)
    except RecursionError:
        raise BadBody(_DEEP) from None


def printed(value: object) -> int:
    """Tokens at most of a JSON value as a template may print it: with a new line and its indent at each mark.

    Raises:
        BadBody: it is nested too deeply.
    """
    encoded = encode(value)
    return len(encoded) + 2 * sum(map(encoded.count, _MARKS))


def within(name: str, value: int | None, most: int) -> None:
    """Refuse a number that is not from 1 to `most`.

    Raises:
        BadBody: it is not.
    """
    if value is not None and not 1 <= value <= most:
        raise BadBody(f"{name}: must be from 1 to {most}, not {value}.", name)


def check_depth(*values: JSON) -> None:
    """Refuse values that are nested more deeply than `MAX_DEPTH`.

    Raises:
        BadBody: one is.
    """
    level: list[list[JSON] | dict[str, JSON]] = [list(values)]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise BadBody(_DEEP)


def check_template(kwargs: dict[str, JSON] | None) -> None:
    """Refuse a chat template of the caller's own: it runs on the engine.

    Raises:
        BadBody: there is one among the arguments of the template.
    """
    for name in OF_THE_ENGINE.intersection(kwargs or ()):
        place = f"chat_template_kwargs.{name}"
        raise BadBody(f"{place}: the engine says how its chat template is used; leave this out.", place)


def salted(body: bytes, salt: str | None) -> bytes:
    """An encoded body with the tenant's `cache_salt` put in, where there is one."""
    return body if salt is None else b'%b,"cache_salt":"%b"}' % (body[:-1], salt.encode())


def _explain(error: str) -> BadBody:
    """Say msgspec's message in words that name the field."""
    for pattern, verb in ((_UNKNOWN, "is not a field of this request"), (_MISSING, "is required")):
        found = pattern.search(error)
        if found:
            name = found[1][:_LONGEST_NAME]
            param = f"{found[2]}.{name}" if found[2] else name
            return BadBody(f"{param}: {verb}.", param)
    place = _PLACE.search(error)
    said = error[: place.start()] if place else error
    if said.startswith(_REPEATS):
        # What was sent is not said again: it may be anything.
        said = "it is not one of the values that it can have"
    return BadBody(f"{place[1]}: {said}." if place else f"{said}.", place[1] if place else None)
