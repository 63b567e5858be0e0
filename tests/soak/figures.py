"""The figures of a soak: rows of name, value, unit and bar, as a table and as `bench/results/soak.json`."""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from statistics import quantiles

import msgspec

from bench.report import ROOT, Machine
from tests.soak.judge import Harm
from tests.soak.mix import Kind
from tests.soak.run import Effort, Soak
from tests.soak.samples import slope
from tests.soak.seen import End

PARTS = 10
"""The run is cut into so many parts, for figures over time."""
RISE_PER_MINUTE = 0.01
"""Memory is flat where the line through the second half rises by no more than this share of it a minute."""
LATEST = ROOT / "bench/results/soak.json"
_LAG = "ias_gateway_loop_lag_seconds"


class Row(msgspec.Struct):
    """One figure; `bar` is the most that it may be, None where nothing is asked of it."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def met(self) -> bool:
        return self.bar is None or self.value <= self.bar


class Report(msgspec.Struct):
    """The whole of `soak.json`. `answers` counts answers by what explains them; `load_after` is that of a minute."""

    commit: str
    changed: bool
    measured_at: str
    seconds: float
    clients: int
    seed: int
    machine: Machine
    load_after: float
    harms: list[str]
    answers: dict[str, int]
    rows: list[Row]


def rows(whole: Soak) -> list[Row]:
    """Every figure."""
    return [*_answers(whole), *_books(whole), *_left(whole), *_memory(whole), *_lag(whole), *_over_time(whole)]


def _answers(whole: Soak) -> Iterator[Row]:
    nobody = sum(seen.end is End.UNREACHABLE for _, seen in whole.answers)
    number = len(whole.answers) - nobody
    faults = sum(plan.fault is not None for plan, _ in whole.answers)
    yield Row("requests", number, "requests")
    yield Row("requests a second", round(number / whole.seconds, 1), "1/s")
    yield Row("found nobody there", nobody, "requests")
    yield Row("faults that the engine was told", round(100 * faults / max(1, number), 2), "%")
    yield Row("unexplained answers", len(whole.unexplained()), "answers", 0)


def _books(whole: Soak) -> Iterator[Row]:
    books = whole.books
    yield Row("tokens that the engines wrote", books.written, "tokens")
    yield Row("tokens in the ledger", books.ledger, "tokens")
    yield Row("  not the same in Redis's budgets", abs(books.used - books.ledger), "tokens", 0)
    yield Row("  not the same in analytics", abs(books.analytics - books.ledger), "tokens", 0)
    yield Row("requests billed to the token as written", books.same, "requests")
    yield Row("requests without a ledger line", len(books.missing), "requests", 0)
    yield Row("requests with a line too many", len(books.doubled), "requests", 0)
    yield Row("requests billed too much", len(books.over_billed), "requests", 0)
    yield Row("requests billed otherwise than written", len(books.different), "requests", 0)
    yield Row("requests that ended early, billed a little less", len(books.lower_bounds), "requests")
    yield Row("  tokens", sum(books.lower_bounds.values()), "tokens")
    yield Row("requests billed of which a killed engine wrote nothing", len(books.unheard), "requests")
    yield Row("  tokens", sum(books.unheard.values()), "tokens")
    yield Row("requests sent to an engine anew", len(books.sent_anew), "requests")
    yield Row("  tokens of the attempt before", sum(books.sent_anew.values()), "tokens")
    explained = sum(books.lower_bounds.values()) + sum(books.sent_anew.values()) - sum(books.unheard.values())
    unaccounted = books.ledger - books.written + explained
    yield Row("tokens that none of this accounts for", abs(unaccounted), "tokens", 0)
    yield Row("events that nobody could read", books.quarantined, "events", 0)


def _left(whole: Soak) -> Iterator[Row]:
    left, books = whole.left, whole.books
    yield Row("left over: open requests of gateways", left.open, "requests", 0)
    yield Row("left over: unsettled requests of gateways", left.unsettled, "requests", 0)
    yield Row("left over: connections of clients", left.connections, "connections", 0)
    yield Row("left over: tasks of gateways", left.tasks, "tasks", 0)
    yield Row("left over: requests that engines run", left.running, "requests", 0)
    yield Row("left over: reservations in Redis", books.open, "reservations", 0)
    yield Row("left over: tokens held in Redis", books.reserved, "tokens", 0)
    yield Row("left over: entries of the outbox", books.outbox, "entries", 0)
    restarts = sum(window.harm is Harm.GATEWAY_RESTARTED for window in whole.windows)
    yield Row("sums of the workers' counters that fell", whole.samples.falls() - restarts, "times", 0)


def _memory(whole: Soak) -> Iterator[Row]:
    for (name, _), series in sorted(whole.samples.rss_kb.items()):
        late = [(at, kb) for at, kb in series if at > whole.seconds / 2]
        if not late or series[-1][0] < whole.seconds * 0.9:
            continue  # it was killed
        last = late[-1][1]
        bar = round(last * RISE_PER_MINUTE) if whole.seconds >= 300 else None
        yield Row(f"memory of {name} at the end", round(last), "KB")
        yield Row("  its rise in the second half", round(60 * slope(late)), "KB/min", bar)


def _lag(whole: Soak) -> Iterator[Row]:
    lags = [1000 * lag for _, lag in whole.samples.metrics[_LAG]]
    for share, lag in _percentiles(lags, (50, 99, 100)):
        yield Row(f"loop lag of the later worker, p{share}", lag, "ms")


def _over_time(whole: Soak) -> Iterator[Row]:
    """Time to the first byte, as the soak's own clients see it, which share the machine with all else."""
    for part in range(PARTS):
        begins, ends = (whole.seconds * at / PARTS for at in (part, part + 1))
        for kind in (Kind.UNARY, Kind.STREAM):
            firsts = [first for began, first in _firsts(whole, kind) if begins <= began < ends]
            for share, first in _percentiles(firsts, (50, 99)):
                yield Row(f"{begins:.0f} to {ends:.0f} s, {kind}: first byte, p{share}", first, "ms")


def _firsts(whole: Soak, kind: Kind) -> Iterator[tuple[float, float]]:
    """When each answer that the engine gives at once began, and after how many milliseconds its first byte came."""
    for plan, seen in whole.answers:
        if plan.kind is kind and not plan.delay_ms and not plan.fault and seen.status == HTTPStatus.OK and seen.first:
            yield seen.began, 1000 * (seen.first - seen.began)


def _percentiles(values: Sequence[float], shares: Iterable[int]) -> Iterator[tuple[int, float]]:
    if len(values) < 2:
        return
    cuts = quantiles(values, n=100, method="inclusive")
    for share in shares:
        yield share, round(max(values) if share == 100 else cuts[share - 1], 1)


def report(whole: Soak, effort: Effort, machine: Machine, load_after: float) -> Report:
    """All that is kept of a run."""
    answers = {verdict or "UNEXPLAINED": number for verdict, number in whole.verdicts().most_common()}
    return Report(
        commit=_git("rev-parse", "HEAD"),
        changed=bool(_git("status", "--porcelain", "--", "src")),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(whole.seconds, 1),
        clients=effort.clients,
        seed=effort.seed,
        machine=machine,
        load_after=load_after,
        harms=whole.harms,
        answers=answers,
        rows=rows(whole),
    )


def write(done: Report, path: Path) -> None:
    """Put it into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(done)) + b"\n")


def table(done: Report) -> str:
    """For a terminal."""
    lines = [(name, f"{number:,}", "answers", "") for name, number in done.answers.items()]
    lines.append(("", "", "", ""))
    for row in done.rows:
        bar = "" if row.bar is None else f"{'met' if row.met else 'MISSED'} (at most {row.bar:,g})"
        lines.append((row.name, f"{row.value:,.10g}", row.unit, bar))
    wide = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        f"{name:<{wide[0]}}  {value:>{wide[1]}}  {unit:<{wide[2]}}  {bar}".rstrip() for name, value, unit, bar in lines
    )


def complaints(whole: Soak, most: int = 20) -> str:
    """The first answers that nothing explains."""
    found = [f"unexplained: {plan.kind}, {plan.tenant}: {seen}" for plan, seen in whole.unexplained()[:most]]
    books = whole.books
    for name in ("missing", "doubled", "different", "over_billed"):
        those = getattr(books, name)
        found.append(f"{name}: {list(those.values() if isinstance(those, dict) else those)[:5]}")
    return "\n".join(found)


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()
