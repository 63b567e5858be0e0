"""The mock tokenizer and its text: four bytes of UTF-8 are a token, and the same prompt gives the same words.

A chat prompt costs 4 tokens a message and 3 for the answer's beginning, on top of its text; tools cost their JSON. This
stays below the gateway's strict bound (bytes of text + 8 a message + tools).
"""

from zlib import crc32

BYTES_PER_TOKEN = 4
PER_MESSAGE = 4
PRIMING = 3
_WORDS = [
    "the",
    "ledger",
    "keeps",
    "every",
    "token",
    "that",
    "a",
    "stream",
    "has",
    "shown",
    "and",
    "each",
    "request",
    "ends",
    "with",
    "one",
    "line",
    "so",
    "nothing",
    "is",
    "lost",
    "when",
    "clients",
    "leave",
    "early",
    "or",
    "a",
    "process",
    "dies",
    "at",
    "night",
    "because",
    "what",
    "was",
    "held",
    "is",
    "settled",
    "from",
    "its",
    "last",
    "known",
    "count",
]


def count(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def ids(text: str) -> list[int]:
    """The tokens themselves: four bytes each, as big-endian integers."""
    raw = text.encode()
    return [int.from_bytes(raw[at : at + BYTES_PER_TOKEN], "big") for at in range(0, len(raw), BYTES_PER_TOKEN)]


def text_of(tokens: list[int]) -> str:
    """The text of tokens that `ids` made."""
    raw = b"".join(token.to_bytes(max(1, -(-token.bit_length() // 8)), "big") for token in tokens)
    return raw.decode(errors="replace")


def words(prompt: str, choice: int, most: int) -> list[str]:
    """The words, one a token, that follow a prompt."""
    start = crc32(prompt.encode()) + choice
    return [_WORDS[(start + place) % len(_WORDS)] + " " for place in range(most)]
