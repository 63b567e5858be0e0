"""One input as control bytes and a payload, and the payload cut into the reads that the control bytes say."""

from itertools import pairwise
from random import Random

CONTROL = 4


def parted(data: bytes) -> tuple[bytes, bytes]:
    """The control bytes, padded where the input is short, and the payload."""
    return data[:CONTROL].ljust(CONTROL, b"\0"), data[CONTROL:]


def cut(control: bytes, payload: bytes) -> list[bytes]:
    """The payload in reads; where the first control byte is 255 each byte is one."""
    if control[0] == 0xFF:
        return [payload[place : place + 1] for place in range(len(payload))]
    choose = Random(control)
    edges = sorted({choose.randrange(len(payload) + 1) for _ in range(control[0] % 16)} | {0, len(payload)})
    return [payload[start:end] for start, end in pairwise(edges)]
