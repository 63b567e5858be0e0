"""The mock tokenizer, its chat template, and the words that it makes up.

A token is four bytes of UTF-8; the last one of a text is filled up with NUL. So a text has `ceil(bytes / 4)` tokens.
A chat prompt has the tools' JSON, then for each message its text and `PER_MESSAGE` more, and `PRIMING` at the end for
the answer's beginning. That is never more than the bound that the gateway reserves by: bytes of all text, 8 a message,
and the tools. A prompt is kept as its tokens' bytes ("ink"), four to a token; an id is those bytes as an integer.

The answer is made of words of four bytes, one a token, chosen by the prompt alone.
"""

import random
import struct
from collections.abc import Iterable
from zlib import crc32

BYTES_PER_TOKEN = 4
PER_MESSAGE = 4
PRIMING = 2
VOCABULARY = 1 << 32

_START, _END, _BREAK = b"<im>", b"</m>", b"\n\0\0\0"
_ASSISTANT = b"assi"
_WORDS = (
    b"the one who was out all day and had not yet met her old dog ran far off for new air but saw its own way end now "
    b"any two men can see how big our red sun may get you ask him why she let boy put six hot tea set too low use few "
    b"car sky sea ice oil egg fun job key law lie map net owe pay row say try war win"
).split()
_SEQUENCE = tuple(b" " + word for word in random.Random(32).choices(_WORDS, k=8192))  # noqa: S311 - no secret
_STARTS = 4093
_APART = 97


def ink(text: str) -> bytes:
    """The bytes of a text's tokens."""
    raw = text.encode()
    return raw + b"\0" * (-len(raw) % BYTES_PER_TOKEN)


def count(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def ids(inked: bytes) -> list[int]:
    """The ids of tokens."""
    return list(struct.unpack(f">{len(inked) // BYTES_PER_TOKEN}I", inked))


def ink_of(tokens: Iterable[int]) -> bytes:
    """The bytes of tokens given by id; each must be below `VOCABULARY`."""
    given = list(tokens)
    return struct.pack(f">{len(given)}I", *given)


def text_of(tokens: Iterable[int]) -> str:
    """The text of tokens; ids beyond the vocabulary say nothing."""
    known = [token for token in tokens if 0 <= token < VOCABULARY]
    return ink_of(known).replace(b"\0", b"").decode(errors="replace")


def chat_ink(messages: Iterable[tuple[str, str]], tools: bytes, *, priming: bool = True) -> bytes:
    """The prompt of a chat: messages are (role, text), `tools` is their JSON."""
    parts = [tools, b"\0" * (-len(tools) % BYTES_PER_TOKEN)]
    for role, text in messages:
        parts += (_START, role.encode()[:BYTES_PER_TOKEN].ljust(BYTES_PER_TOKEN, b"\0"), ink(text), _END, _BREAK)
    if priming:
        parts += (_START, _ASSISTANT)
    return b"".join(parts)


def words(prompt: bytes, choice: int, number: int) -> tuple[bytes, ...]:
    """The words that follow a prompt (its ink): a token each, without anything that JSON would escape."""
    start = (crc32(prompt) + choice * _APART) % _STARTS
    if start + number <= len(_SEQUENCE):
        return _SEQUENCE[start : start + number]
    return tuple(_SEQUENCE[(start + place) % len(_SEQUENCE)] for place in range(number))
