"""The benchmark's harness, end to end with tiny numbers: that its figures mean something, never how large they are."""

import subprocess
import sys

import msgspec
import pytest

from bench import exchange
from bench.bar import demands
from bench.chart import chart
from bench.report import ROOT, Report
from bench.table import table
from ias.dev.engine import shapes

ASKED = (
    *("unary_cpu_us", "unary_rps", "unary_added_us_p50", "unary_added_us_p99", "burst_cpu_us_per_chunk"),
    *("paced_cpu_us_per_chunk", "first_token_added_us_p50", "first_token_added_us_p99", "rss_kb_per_stream"),
    *("unary_1_cpu_us", "large_cpu_us", "paced_many_cpu_us_per_chunk", "paced_many_delivered"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("bench") / "results.json"
    tiny = ("--rounds=1", "--seconds=0.3", "--streams=20", "--only=ias-gateway", "--as-written", f"--out={out}")
    done = subprocess.run(
        [sys.executable, "-m", "bench", *tiny], cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the bar" in done.stdout
    return msgspec.json.decode(out.read_bytes(), type=Report)


def test_the_gateway_has_a_sane_figure_in_each_column(report: Report) -> None:
    row = next(row for row in report.rows if row["name"] == "ias-gateway")
    assert row["missing"] == {}
    assert {name for name in ASKED if not isinstance(row.get(name), float)} == set()
    assert 1 < row["unary_cpu_us"] < 100_000
    assert 1 < row["unary_rps"] < 1_000_000
    assert 0 < row["unary_core_share"] < 1.5
    assert 0 < row["burst_cpu_us_per_chunk"] < row["burst_cpu_us"]
    assert 0.02 < row["paced_many_delivered"] < 1.5
    assert 0 < row["rss_kb_per_stream"] < 1000


def test_the_engine_alone_uses_no_proxy_and_adds_nothing(report: Report) -> None:
    row = next(row for row in report.rows if row["name"] == "direct")
    assert row["unary_cpu_us"] == 0
    assert row["unary_added_us_p50"] == 0


def test_what_was_not_measured_is_not_judged(report: Report) -> None:
    assert [demand.met for demand in report.bar if "vllm-router" in demand.what] == [None] * 5
    assert {
        demand.met for demand in report.bar if "first token" not in demand.what and "CPU of" not in demand.what
    } <= {
        True,
        False,
    }


def test_a_run_says_what_it_was_measured_on(report: Report) -> None:
    assert len(report.commit) in {0, 40}
    assert report.machine.cores > 0
    assert report.rounds == 1


def test_a_demand_is_met_by_the_figure_on_its_good_side() -> None:
    ours = {"unary_cpu_us": 20.0, "unary_us_p50": 240.0, "rss_kb_per_stream": 13.0, "paced_many_delivered": 1.0}
    judged = {each.what: each.met for each in demands({"ias-gateway": ours, "vllm-router": {"unary_cpu_us": 38.0}})}
    assert judged["without streaming: CPU of vllm-router's"] is True
    assert judged["without streaming: CPU of nginx's"] is None
    assert judged["requests/s a core (a second of CPU)"] is True
    assert judged["KB resident an open stream"] is False


def test_requests_have_the_size_that_is_said() -> None:
    assert len(exchange.request_body(exchange.UNARY)) == exchange.SMALL_BYTES
    assert len(exchange.request_body(exchange.PACED)) == exchange.SMALL_BYTES
    assert len(exchange.request_body(exchange.UNARY, exchange.LARGE_BYTES)) == exchange.LARGE_BYTES


def test_a_burst_has_as_many_events_as_are_divided_by() -> None:
    events = exchange.burst(usage=False)
    assert len(events) == exchange.BURST_EVENTS
    assert events[-1] == shapes.DONE
    assert len(exchange.burst(usage=True)) == exchange.BURST_EVENTS + 1


def test_a_peer_without_a_figure_is_shown_without_one() -> None:
    rows = {"ias-gateway": {"unary_cpu_us": 20.0}, "nginx": {}}
    assert "not measured" in chart(rows, "a machine")
    line = next(line for line in table(rows).splitlines() if "CPU µs a request" in line)
    assert line.split()[-3:] == ["20.0", "-", "-"]
