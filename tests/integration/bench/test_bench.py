"""The benchmark's harness, end to end with tiny numbers: that its figures mean something, never how large they are."""

import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise, permutations

import msgspec
import pytest

from bench import exchange
from bench.bar import demands, ratio
from bench.chart import chart
from bench.load import Target
from bench.peers import OFFERS, Absent, Peer
from bench.peers.peer import Running
from bench.phases import PhaseFailed, Subject
from bench.records import Effort, Record, Results
from bench.report import ROOT, Report
from bench.rig import Rig, open_rig
from bench.table import gaps, table, verdict
from bench.turns import asked, measure, order, take_turn
from ias.dev.engine import shapes

ASKED = (
    *("unary_cpu_us", "unary_rps", "unary_added_us_p50", "unary_added_us_p99", "burst_cpu_us_per_chunk"),
    *("paced_cpu_us_per_chunk", "first_token_added_us_p50", "first_token_added_us_p99", "rss_kb_per_stream"),
    *("unary_1_cpu_us", "large_cpu_us", "paced_many_cpu_us_per_chunk", "paced_many_delivered"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("bench") / "results.json"
    short = ("--turns=1", "--look=0.1", "--rounds=1", "--seconds=0.3", "--streams=20")
    tiny = (*short, "--only=ias-gateway", "--as-written", f"--out={out}")
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
    assert (report.turns, report.rounds) == (1, 1)


def test_a_demand_is_met_by_the_figure_on_its_good_side() -> None:
    figures = {"unary_cpu_us": 20.0, "unary_us_p50": 240.0, "rss_kb_per_stream": 13.0, "paced_many_delivered": 1.0}
    ours = {name: {0: value} for name, value in figures.items()}
    rows = {"ias-gateway": ours, "vllm-router": {"unary_cpu_us": {0: 38.0}}}
    judged = {each.what: each.met for each in demands(rows)}
    assert judged["without streaming: CPU of vllm-router's"] is True
    assert judged["without streaming: CPU of nginx's"] is None
    assert judged["requests/s a core (a second of CPU)"] is True
    assert judged["KB resident an open stream"] is False


def test_a_ratio_is_the_median_of_the_ratios_of_the_same_turn() -> None:
    ours = {0: 10.0, 1: 40.0, 2: 30.0, 3: 90.0, 4: 70.0}
    theirs = {0: 20.0, 1: 40.0, 2: 20.0, 4: 0.0, 5: 1.0}
    rows = {"ias-gateway": {"unary_cpu_us": ours}, "nginx": {"unary_cpu_us": theirs}}
    found = ratio(rows, "unary_cpu_us", "nginx")
    assert found is not None
    assert (found.median, found.middle) == (1.0, (0.75, 1.25))
    demand = next(each for each in demands(rows) if "nginx" in each.what)
    assert (demand.measured, demand.middle) == (1.0, (0.75, 1.25))
    assert "0.75 to 1.25" in verdict([demand])


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 11])
def test_each_proxy_follows_each_other_equally_often(size: int) -> None:
    names = [f"proxy {number}" for number in range(size)]
    turns = [order(names, turn) for turn in range(size * 2)]
    assert all(sorted(turn) == sorted(names) for turn in turns)
    assert Counter(pair for turn in turns for pair in pairwise(turn)) == dict.fromkeys(permutations(names, 2), 2)


def test_who_the_bar_is_about_has_every_turn_and_others_one_of_three() -> None:
    names = ("direct", "ias-gateway", "nginx", "litellm")
    often = [sum(name in asked(names, turn) for turn in range(12)) for name in names]
    assert often == [12, 12, 12, 4]


def _gone() -> Peer:
    @asynccontextmanager
    async def start(_: Rig, __: int) -> AsyncIterator[Running]:
        raise Absent("it does not start here")
        yield

    return Peer("", start)


async def test_a_proxy_that_does_not_start_is_told_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OFFERS, "gone", _gone)
    with open_rig() as rig:
        results = await measure(rig, ("gone",), Effort(1, 0.05, 1, 0.05, 5), lambda _: None)
    assert results.absent == {"gone": "it does not start here"}
    assert list(results.records) == ["direct"]
    assert results.records["direct"].missing == {}
    assert "rss_kb_per_stream" in results.records["direct"].medians()


async def _fails(subject: Subject) -> dict[str, float]:
    if subject.streams:
        raise PhaseFailed("no answers")
    return {"unary_us_p50": 5.0}


async def test_a_proxy_that_fails_a_phase_is_told_and_not_asked_for_it_again() -> None:
    results = Results({name: Record(OFFERS["direct"]()) for name in ("direct", "nginx", "ias-gateway")})
    good, bad = (Subject(Target(0), 0, None, 0.1, streams) for streams in (0, 1))
    await take_turn(results, _fails, {"direct": good, "nginx": bad, "ias-gateway": good}, 0)
    assert results.records["nginx"].missing == {"_fails": "no answers"}
    await take_turn(results, _fails, {"direct": good, "nginx": good, "ias-gateway": good}, 1)
    assert results.records["nginx"].figures == {}
    assert results.records["ias-gateway"].figures == {
        "unary_us_p50": {0: 5.0, 1: 5.0},
        "unary_added_us_p50": {0: 0.0, 1: 0.0},
    }
    assert "nginx, _fails: no answers" in gaps({}, {"nginx": results.records["nginx"].missing})


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
    assert "not measured" in chart({"ias-gateway": {"unary_cpu_us": 20.0}, "nginx": {}}, "a machine")
    turns = {"ias-gateway": {"unary_cpu_us": {0: 20.0}}, "nginx": {}}
    line = next(line for line in table(turns).splitlines() if "CPU µs a request" in line)
    assert line.split()[-3:] == ["20.0", "-", "-"]
