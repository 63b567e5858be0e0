"""The spool file: what was written is there, what was torn is cut off, and a file has one user."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias_gateway.spool import (
    MAGIC,
    Found,
    Record,
    Spool,
    SpoolTaken,
    found_in,
    framed,
    of_the_dead,
    spool_of,
    taken_over,
    unframed,
)
from tests.full_disk import full_disk

RECORDS: list[Record] = [("tag", f"request-{number}", b"*1\r\n$4\r\nPING\r\n" * number) for number in range(1, 5)]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = spool_of(tmp_path, "gw")
    assert spool.read() == ([], False)
    return spool


def test_what_was_appended_is_read_in_its_order(spool: Spool, tmp_path: Path) -> None:
    spool.append(RECORDS[:2])
    spool.append(RECORDS[2:])
    spool.close()
    again = spool_of(tmp_path, "gw")
    assert again.read() == (RECORDS, False)
    again.clear()
    again.append(RECORDS[:1])
    assert again.read() == (RECORDS[:1], False)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=40), st.binary(max_size=200))), st.integers(0, 2000))
def test_a_file_that_was_cut_anywhere_keeps_its_whole_records(records: list[Record], cut: int) -> None:
    data = MAGIC + b"".join(map(framed, records))
    found, good = unframed(data[:cut])
    assert found == records[: len(found)]
    assert good <= min(cut, len(data))
    if cut >= len(data):
        assert (found, good) == (records, len(data))
    assert unframed(data[:good])[0] == found


@given(st.integers(len(MAGIC), 10_000), st.integers(1, 255))
def test_a_byte_that_changed_ends_the_file_before_it(place: int, change: int) -> None:
    data = bytearray(MAGIC + b"".join(map(framed, RECORDS)))
    place %= len(data)
    data[place] ^= change
    found, good = unframed(bytes(data))
    assert found == RECORDS[: len(found)]
    assert len(found) < len(RECORDS)
    assert good <= place


def test_half_a_record_is_told_cut_off_and_written_over(spool: Spool, tmp_path: Path) -> None:
    spool.append(RECORDS[:2])
    with spool.path.open("ab") as file:
        file.write(framed(RECORDS[2])[:-1])
    assert spool.read() == (RECORDS[:2], True)
    spool.append(RECORDS[3:])
    assert spool.read() == ([*RECORDS[:2], RECORDS[3]], False)


def test_a_file_that_is_none_of_ours_has_no_records() -> None:
    assert unframed(b"something else") == ([], 0)


def test_a_file_is_used_by_one_process_at_a_time(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(SpoolTaken):
        Spool(spool.path)
    assert of_the_dead(tmp_path, tmp_path / "another.spool") == []


def test_the_file_of_a_killed_process_is_found_with_all_that_was_written(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time\n"
        "from ias_gateway.spool import spool_of\n"
        "spool = spool_of(pathlib.Path(sys.argv[1]), 'dead/one')\n"
        "spool.append([('tag', 'r', b'command')])\n"
        "print('written', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        mine = spool_of(tmp_path, "gw")
        assert of_the_dead(tmp_path, mine.path) == []
        process.send_signal(signal.SIGKILL)
    (left,) = of_the_dead(tmp_path, mine.path)
    assert left.read() == ([("tag", "r", b"command")], False)
    left.remove()
    assert of_the_dead(tmp_path, mine.path) == []


def test_a_full_disk_leaves_the_file_as_it_was(spool: Spool) -> None:
    spool.append(RECORDS[:1])
    size = spool.path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
        with pytest.raises(OSError, match="File too large"):
            spool.append(RECORDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert spool.path.stat().st_size == size
    assert spool.read() == (RECORDS[:1], False)
    spool.append(RECORDS[1:])
    assert spool.read() == (RECORDS, False)


def test_a_file_that_was_deleted_under_its_user_is_nobodys(spool: Spool, tmp_path: Path) -> None:
    spool.remove()
    assert not spool.path.exists()
    other = spool_of(tmp_path, "gw")
    os.unlink(other.path)  # noqa: PTH108 - as another process would
    assert Spool(other.path).read() == ([], False)


def test_only_files_with_something_in_them_are_looked_for_beside_a_gateway_that_runs(tmp_path: Path) -> None:
    mine, empty, full = (spool_of(tmp_path, name) for name in ("mine", "empty", "full"))
    full.append(RECORDS)
    full.close()
    empty.close()
    (left,) = of_the_dead(tmp_path, mine.path, filled=True)
    assert left.path.stem == "full"
    assert found_in(left) == Found(left.path, RECORDS, torn=False)


def test_what_is_taken_over_is_in_ones_own_file_before_the_other_one_goes(tmp_path: Path) -> None:
    mine, theirs = spool_of(tmp_path, "mine"), spool_of(tmp_path, "theirs")
    mine.append(RECORDS[:1])
    theirs.append(RECORDS[1:])
    assert taken_over(mine, theirs) == Found(theirs.path, RECORDS[1:], torn=False)
    assert not theirs.path.exists()
    assert mine.read() == (RECORDS, False)


def test_what_cannot_be_copied_is_read_and_stays(tmp_path: Path) -> None:
    theirs = spool_of(tmp_path, "theirs")
    theirs.append(RECORDS)
    full_disk(tmp_path / "mine.spool")
    mine = spool_of(tmp_path, "mine")
    found = taken_over(mine, theirs)
    assert (found.records, bool(found.failure)) == (RECORDS, True)
    assert spool_of(tmp_path, "theirs").read() == (RECORDS, False)
