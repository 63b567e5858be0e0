"""What a run of the matrix found: a table for the terminal, `bench/results/faults.json`, and docs/reliability.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.report import ROOT
from tests.faults.checker import UNBILLED_MS
from tests.faults.matrix import Result, Row
from tests.faults.rig import LEASE_S

LATEST = ROOT / "bench/results/faults.json"
PAGE = ROOT / "docs/reliability.md"
USUAL_LEASE_S = 30
SWEPT_S = 45
HEAD = f"{'fault':<58}{'requests':>9}{'missing':>9}{'doubled':>9}{'tokens':>8}{'over':>6}{'recovery':>10}"


class Report(msgspec.Struct):
    """The whole of `faults.json`."""

    commit: str
    rows: list[Row]


@dataclass(frozen=True)
class Promise:
    """One of accounting's promises, and what was found."""

    number: str
    what: str
    figure: str
    found: str
    met: bool


def line(row: Row) -> str:
    """A line of the terminal's table."""
    counts = f"{row.requests:>9}{row.missing:>9}{row.doubled:>9}{row.token_difference:>8}{row.overshoot:>6}"
    return f"{row.fault:<58}{counts}{row.recovery_s:>9.1f}s"


_MEASURED: dict[str, tuple[str, str, dict[str, float], str]] = {
    "P6": (
        "revoked or suspended: refused, open streams cut",
        "≤ 1 s, ≤ 5 s",
        {"P6 refused": 1.0, "P6 cut": 5.0},
        "{:.2f} s, {:.2f} s",
    ),
    "P7": ("served with all but Redis and engine down", "0 failed", {"P7 failed": 0}, "{:.0f} failed"),
    "P8": (
        "Redis down: 503 with Retry-After, open streams finish",
        "≤ 300 ms, 0 cut",
        {"P8 told ms": 300, "P8 streams cut": 0},
        "{:.0f} ms, {:.0f} cut",
    ),
    "P9": ("Redis emptied: `not_ready` until it is rebuilt", "≤ 30 s", {"P9 rebuilt": 30}, "{:.1f} s"),
    "P11": ("SIGTERM: accepted requests dropped in the drain window", "0", {"P11 dropped": 0}, "{:.0f}"),
}
"""What a promise is, its figure, the most that each measured value may be, and how those are told."""


def promises(results: Sequence[Result], figures: Mapping[str, float]) -> list[Promise]:
    """All of them, as far as the faults that were done tell."""
    found = _counted(results)
    for number, (what, figure, bars, told) in _MEASURED.items():
        if set(bars) <= set(figures):
            values = [figures[name] for name in bars]
            met = all(figures[name] <= bar for name, bar in bars.items())
            found.append(Promise(number, what, figure, told.format(*values), met))
    return sorted(found, key=lambda promise: int(promise.number[1:]))


def _counted(results: Sequence[Result]) -> list[Promise]:
    """Those that every fault tells of."""
    rows = [result.row for result in results]
    missing, doubled, differing = (sum(getattr(row, name) for row in rows) for name in Row.__struct_fields__[2:5])
    over, asked = max((row.overshoot for row in rows), default=0), sum(row.requests for row in rows)
    promised = [result.books for result in results if result.books.most_unbilled_ms == UNBILLED_MS]
    unbilled = max((ms for books in promised for ms in books.unbilled_ms.values()), default=0)
    swept = max((row.recovery_s for row in rows if row.fault.startswith("gateway: kill")), default=0)
    stuck = sum(result.books.reserved + result.books.open for result in results)
    lost = sum(row.missing for row in rows if row.fault.startswith("RabbitMQ:"))
    books = f"{missing} missing, {doubled} doubled, of {asked:,} requests over {len(rows)} faults"
    late = f"{unbilled:.0f} ms; quiet after {swept:.1f} s, with a lease of {LEASE_S} s for {USUAL_LEASE_S} s"
    in_time = unbilled <= UNBILLED_MS and swept <= SWEPT_S - USUAL_LEASE_S + LEASE_S
    held = f"{over} tokens, in {sum(result.samples for result in results):,} samples"
    return [
        Promise("P1", "one terminal line for each admitted request", "0, 0", books, not missing + doubled),
        Promise("P2", "the ledger is what the engine wrote", "difference 0", f"{differing} tokens", not differing),
        Promise("P3", "kill -9 of a gateway", f"≤ {UNBILLED_MS} ms unbilled, swept ≤ {SWEPT_S} s", late, in_time),
        Promise("P4", "a budget is passed", "0 tokens", held, not over),
        Promise("P5", "reservations that are left after 60 s of quiet", "0", str(stuck), not stuck),
        Promise("P10", "RabbitMQ dies, loses its disk or its queues: rows lost", "0", str(lost), not lost),
    ]


def write(measured: str, results: Sequence[Result], some: Sequence[Promise]) -> None:
    """Keep the rows, and put both tables into the page; `measured` is the commit."""
    done = Report(measured, [result.row for result in results])
    LATEST.parent.mkdir(parents=True, exist_ok=True)
    LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(done)) + b"\n")
    text = PAGE.read_text()
    text = _between(text, "faults", _faults(done.rows))
    text = _between(text, "promises", _promises(some))
    PAGE.write_text(_between(text, "commit", [f"Measured at commit `{done.commit}`."]))


def _faults(rows: Iterable[Row]) -> list[str]:
    names = "| fault | requests | missing | doubled | token difference | overshoot | recovery |"
    return [names, "| --- " + "| ---: " * 6 + "|"] + [
        f"| {row.fault} | {row.requests:,} | {row.missing} | {row.doubled} | {row.token_difference} | {row.overshoot} "
        f"| {row.recovery_s:.1f} s |"
        for row in rows
    ]


def _promises(some: Iterable[Promise]) -> list[str]:
    head = ["| | promise | figure | found |", "| --- | --- | --- | --- |"]
    return head + [
        f"| {one.number} | {one.what} | {one.figure} | {one.found}{'' if one.met else ', **missed**'} |" for one in some
    ]


def _between(text: str, name: str, lines: Iterable[str]) -> str:
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return "".join((head, begin, *(f"{each}\n" for each in lines), end, tail))
