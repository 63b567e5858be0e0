"""A name server of our own, in place of the engine's: one name, the addresses of those that share it."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PORT = 53
A, IN = 1, 1


@contextmanager
def answering(at: str, name: str, addresses: Sequence[str]) -> Iterator[None]:
    """Say these addresses of `name` to whoever asks at port 53 of `at`, until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind((at, PORT))
        line.settimeout(0.2)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(line, name, addresses, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _serve(line: socket.socket, name: str, addresses: Sequence[str], over: threading.Event) -> None:
    while not over.is_set():
        try:
            asked, who = line.recvfrom(2048)
        except TimeoutError:
            continue
        line.sendto(answer(asked, name, addresses), who)


def answer(asked: bytes, name: str, addresses: Sequence[str]) -> bytes:
    """What is said to a question: RFC 1035, section 4."""
    end = asked.index(b"\0", 12) + 1
    question, (kind,) = asked[12 : end + 4], struct.unpack("!H", asked[end : end + 2])
    known = asked[12:end] == b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    told = [socket.inet_aton(address) for address in addresses] if known and kind == A else []
    head = asked[:2] + struct.pack("!HHHHH", 0x8580 if known else 0x8583, 1, len(told), 0, 0)
    return head + question + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", A, IN, 1, 4) + each for each in told)
