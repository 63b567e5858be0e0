"""The spool file: settlements that Redis does not take are safe on disk, whatever becomes of this process.

A file begins with `MAGIC`; each record is its length and CRC-32 (big-endian, 4 bytes each), then MessagePack of the
organisation's tag, the request's id and the packed command. A record is whole or it ends the file: what a crash or a
full disk left of the last one is cut off. Whoever uses a file holds a lock on it, which ends with the process.
"""

import contextlib
import fcntl
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from time import sleep
from typing import NamedTuple
from urllib.parse import quote

import msgspec

MAGIC = b"ias-spool-1\n"
SUFFIX = ".spool"
_HEAD = struct.Struct(">II")
_ATTEMPTS, _PAUSE_S = 100, 0.02

Record = tuple[str, str, bytes]
"""The organisation's tag, the request's id, and the command that settles it."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class SpoolTaken(OSError):
    """Another process uses the file."""


def framed(record: Record) -> bytes:
    """A record as it is written."""
    body = _encode(record)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def unframed(data: bytes) -> tuple[list[Record], int]:
    """The records of a file, and how many of its bytes are good."""
    records: list[Record] = []
    if not data.startswith(MAGIC):
        return records, 0
    good = len(MAGIC)
    while (end := good + _HEAD.size) <= len(data):
        size, checksum = _HEAD.unpack_from(data, good)
        body = data[end : end + size]
        if len(body) < size or zlib.crc32(body) != checksum:
            break
        try:
            records.append(_decode(body))
        except msgspec.MsgspecError:
            break
        good = end + size
    return records, good


class Spool:
    """One file, locked. Its calls block: none belongs into the event loop.

    Raises:
        SpoolTaken: another process uses it.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._good = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been deleted between the two.
            ours = os.path.samestat(os.fstat(self._file), path.stat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        except BaseException:
            os.close(self._file)
            raise
        if not ours:
            os.close(self._file)
            raise SpoolTaken(f"{path} is in use by another process")

    def read(self) -> tuple[list[Record], bool]:
        """All records, and whether the file ended in half of one, which is cut off. Call it before all else."""
        size = os.fstat(self._file).st_size
        data = b"".join(_pieces(self._file, size))
        records, self._good = unframed(data)
        if self._good < size:
            os.ftruncate(self._file, self._good)
        return records, self._good < size

    def append(self, records: Iterable[Record]) -> None:
        """Add records; they are on the disk when this returns.

        Raises:
            OSError: they are not.
        """
        self._cut_off()
        left = data = (b"" if self._good else MAGIC) + b"".join(map(framed, records))
        try:
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                self._cut_off()
            raise
        self._good += len(data)

    def clear(self) -> None:
        """Empty it: Redis has all that was in it."""
        os.ftruncate(self._file, 0)
        self._good = 0
        os.fsync(self._file)

    def _cut_off(self) -> None:
        """Cut off what a failed write has left."""
        if os.fstat(self._file).st_size > self._good:
            os.ftruncate(self._file, self._good)

    def remove(self) -> None:
        """Delete it, and let go of it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)


def spool_of(folder: Path, gateway: str) -> Spool:
    """A gateway's own spool file; the folder is made where it is missing.

    Raises:
        SpoolTaken: a process of the same name uses it.
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        # Whoever looks for files of the dead may have it for a moment.
        with contextlib.suppress(SpoolTaken):
            return Spool(folder / f"{quote(gateway, safe='')}{SUFFIX}")
        sleep(_PAUSE_S)
    raise SpoolTaken(f"{folder} holds the spool file of another gateway called {gateway}; set IAS_GATEWAY_NAME")


def of_the_dead(folder: Path, mine: Path, *, filled: bool = False) -> list[Spool]:
    """The files of processes that have ended, locked for this one; only those with something in them if so asked."""
    spools = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path != mine:
            with contextlib.suppress(OSError):
                if not filled or path.stat().st_size:
                    spools.append(Spool(path))
    return spools


class Found(NamedTuple):
    """What a file held: whether it ended in half a record, and why it could not be taken over, where it could not."""

    path: Path
    records: list[Record]
    torn: bool
    failure: str = ""


def found_in(spool: Spool) -> Found:
    """What a file of one's own holds. Call it before all else."""
    return Found(spool.path, *spool.read())


def taken_over(mine: Spool, left: Spool) -> Found:
    """What somebody left: copied into a file of one's own, then deleted. A crash in between leaves it in both.

    Where it cannot be copied, the file stays for whoever comes next.
    """
    records, torn = left.read()
    try:
        mine.append(records)
    except OSError as error:
        left.close()
        return Found(left.path, records, torn, str(error))
    left.remove()
    return Found(left.path, records, torn)


def _pieces(file: int, size: int) -> Iterable[bytes]:
    at = 0
    while at < size and (piece := os.pread(file, size - at, at)):
        at += len(piece)
        yield piece
