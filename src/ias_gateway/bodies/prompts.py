"""Prompts as text or as tokens: how many tokens they are at most, and how they begin."""

from ias_gateway.bodies.strict import BadBody, Token, encode

Prompts = str | list[str | Token | list[Token]]
"""One prompt as text or as tokens, or a list of prompts of one kind."""

BEGINNING_BYTES = 512
SPECIAL = 4
"""Tokens that a tokenizer may put around a text: its beginning and end, a separator."""


def size(text: str) -> int:
    """Bytes of UTF-8: no byte-level tokenizer makes more tokens than that."""
    return len(text) if text.isascii() else len(text.encode())


def bound(given: Prompts, name: str) -> tuple[int, int]:
    """Upper bound of tokens, and how many prompts there are.

    Raises:
        BadBody: there is none, or they are of mixed kinds; `name` is the field.
    """
    if isinstance(given, str):
        return _one(given), 1
    if not given:
        raise BadBody(f"{name}: give at least one prompt.", name)
    if len({type(one) for one in given}) > 1:
        raise BadBody(f"{name}: give texts, or tokens, or lists of tokens, not a mixture.", name)
    return sum(map(_one, given)), 1 if isinstance(given[0], int) else len(given)


def is_text(given: Prompts) -> bool:
    """Whether it is text, of which only the engine knows how many tokens it is."""
    return isinstance(given, str) or (bool(given) and isinstance(given[0], str))


def beginning(given: object) -> bytes:
    """How a prompt begins, up to `BEGINNING_BYTES`: requests that share it share a prefix cache."""
    if isinstance(given, str):
        return given[:BEGINNING_BYTES].encode()
    return encode(given[:BEGINNING_BYTES] if isinstance(given, list) else given)[:BEGINNING_BYTES]


def _one(prompt: str | int | list[int]) -> int:
    if isinstance(prompt, str):
        return SPECIAL + size(prompt)
    return max(1, len(prompt)) if isinstance(prompt, list) else 1
