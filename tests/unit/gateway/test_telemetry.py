"""Metrics in Prometheus's text form, and log lines that are JSON."""

import errno
import io
import os
import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias_gateway.log import PIECE_BYTES, Log, never_wait, pieces
from ias_gateway.series import LATENCY_BUCKETS_S
from ias_gateway.telemetry import Counter, Histogram, Metrics
from ias_gateway.weight import weigh


def test_a_counter_tells_its_values_by_label() -> None:
    counter = Counter("c_total", "Things.", ("kind",))
    counter.values[('a "b"\n',)] += 2
    assert counter.lines() == [
        "# HELP c_total Things.",
        "# TYPE c_total counter",
        'c_total{kind="a \\"b\\"\\n"} 2',
    ]


def test_a_tally_is_part_of_its_counter_from_the_start() -> None:
    counter = Counter("c_total", "Things.", ("kind",))
    tally = counter.tally(("a",))
    assert 'c_total{kind="a"} 0' in counter.lines()
    tally.count += 2
    counter.values[("a",)] += 1
    assert counter.tally(("a",)) is tally
    assert 'c_total{kind="a"} 3' in counter.lines()


def test_a_histogram_is_cumulative() -> None:
    histogram = Histogram("h_seconds", "Time.", ("model",))
    for seconds in (0.0005, 0.02, 2_000):
        histogram.observe(("m",), seconds)
    lines = histogram.lines()
    assert 'h_seconds_bucket{model="m",le="0.001"} 1' in lines
    assert 'h_seconds_bucket{model="m",le="0.025"} 2' in lines
    assert 'h_seconds_bucket{model="m",le="+Inf"} 3' in lines
    assert 'h_seconds_count{model="m"} 3' in lines


@pytest.mark.parametrize("bound", LATENCY_BUCKETS_S)
def test_an_observation_at_a_bound_is_within_it(bound: float) -> None:
    histogram = Histogram("h_seconds", "Time.", ("model",))
    histogram.observe(("m",), bound)
    histogram.observe(("m",), bound * 1.001)
    assert f'h_seconds_bucket{{model="m",le="{bound}"}} 1' in histogram.lines()


def test_every_family_is_exposed() -> None:
    metrics = Metrics()
    metrics.open.values[()] = 3
    text = metrics.exposition().decode()
    assert "ias_gateway_open_requests 3\n" in text
    for family in vars(metrics).values():
        assert f"# TYPE {family.name}" in text


def test_log_lines_are_json_and_wait_for_each_other(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    log = Log("gateway", "info")
    log.line("debug", "never")
    log.line("info", "request", status=200)
    assert capsysbinary.readouterr().out == b""
    log.flush()
    line = msgspec.json.decode(capsysbinary.readouterr().out)
    assert (line["event"], line["status"], line["process"], line["level"]) == ("request", 200, "gateway", "info")


@given(st.lists(st.integers(0, 2 * PIECE_BYTES), min_size=1, max_size=20))
def test_lines_are_written_whole_and_as_many_at_a_time_as_a_pipe_takes_whole(sizes: list[int]) -> None:
    lines = [b"x" * size for size in sizes]
    written = list(pieces(lines))
    assert b"".join(written) == b"\n".join(lines) + b"\n"
    assert all(piece.endswith(b"\n") for piece in written)
    assert all(len(piece) <= PIECE_BYTES or piece.count(b"\n") == 1 for piece in written)
    assert all(len(one) + len(other.split(b"\n")[0]) + 1 > PIECE_BYTES for one, other in pairwise(written))


def test_warnings_do_not_wait(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    Log("gateway", "nonsense").line("warning", "look")
    assert b'"look"' in capsysbinary.readouterr().out


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting_and_what_was_lost_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        never_wait()
        os.set_blocking(reading, False)
        log = Log("gateway", "info")
        for number in range(5000):
            log.line("warning", "look", number=number, text="x" * 1000)
        read = b""
        while piece := pipe.read():
            read += piece
            log.flush()
    lines = [msgspec.json.decode(line) for line in read.splitlines()]
    looks = [line["number"] for line in lines if line["event"] == "look"]
    [lost] = [line["lost"] for line in lines if line["event"] == "log lines were lost"]
    assert (looks[0], looks[-1]) == (0, 4999)
    assert len(looks) + lost == 5000


def test_a_full_disk_ends_nothing_and_all_is_written_once_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(io.RawIOBase):
        room = False
        written = b""

        def write(self, data: Any) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.written += bytes(data)
            return len(data)

    disk = Full()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=SimpleNamespace(raw=disk)))
    log = Log("gateway", "info")
    log.line("warning", "while it is full")
    disk.room = True
    log.line("warning", "afterwards")
    assert [msgspec.json.decode(line)["event"] for line in disk.written.splitlines()] == [
        "while it is full",
        "afterwards",
    ]


def test_a_process_says_what_it_weighs_and_which_release_it_is() -> None:
    metrics = Metrics()
    weigh(metrics)
    weighed = (metrics.cpu, metrics.memory, metrics.files, metrics.most_files, metrics.began)
    assert all(family.values[()] > 0 for family in weighed)
    assert metrics.files.values[()] < metrics.most_files.values[()]
    assert list(metrics.build.values.values()) == [1]
