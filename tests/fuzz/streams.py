"""An engine's stream out of any bytes: what its tokens say, and which of them report usage."""

from tests.unit.gateway.streams import Script

_LONGEST_TEXT = 24


def script_of(payload: bytes) -> Script:
    """A stream whose tokens are the payload's pieces: each begins with its length."""
    first = payload[:1].ljust(1, b"\0")[0]
    texts: list[str] = []
    place = 1
    while place < len(payload):
        length = payload[place] % _LONGEST_TEXT + 1
        texts.append(payload[place + 1 : place + 1 + length].decode(errors="replace"))
        place += 1 + length
    return Script(
        prompt=first * 7,
        cached=first % 5,
        texts=texts or ["x"],
        running=bool(first & 1),
        final=bool(first & 2),
        newline="\r\n" if first & 4 else "\n",
    )
