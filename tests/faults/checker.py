"""Whether the books are right: the ledger against what the engine wrote, Redis against the ledger."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import msgspec
import redis.asyncio as aioredis

LINES = """
SELECT request_id::text AS id, line, prompt_tokens AS prompt, completion_tokens AS completion, outcome, lower_bound
FROM billing.ledger_lines
"""


@dataclass
class Books:
    """What is wrong; nothing is, where all lists are empty and all sums are equal."""

    same: int = 0
    """Requests that were billed to the token as the engine wrote."""
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    over_billed: list[str] = field(default_factory=list)
    lower_bounds: dict[str, int] = field(default_factory=dict)
    """Tokens that a request was billed less than the engine wrote, where its gateway was killed."""
    unheard: dict[str, int] = field(default_factory=dict)
    """Tokens of billed requests of which the engine wrote no line: it was killed before their end."""
    reserved: int = 0
    outbox: int = 0
    open: int = 0
    quarantined: int = 0
    used: int = 0
    ledger: int = 0
    written: int = 0
    analytics: int = 0

    @property
    def quiet(self) -> bool:
        return not (self.reserved or self.outbox or self.open)

    @property
    def right(self) -> bool:
        wrong = self.missing or self.doubled or self.different or self.over_billed or self.quarantined
        return self.quiet and not wrong and self.used == self.ledger == self.analytics


async def check(database_url: str, redis_url: str, oracle: Path) -> Books:
    """Compare all that has been written so far."""
    connection = await asyncpg.connect(database_url)
    try:
        lines = [dict(row) for row in await connection.fetch(LINES)]
        quarantined = await connection.fetchval("SELECT count(*) FROM billing.quarantine")
        analytics = await connection.fetchval(
            "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) FROM analytics.usage_daily"
        )
    finally:
        await connection.close()
    written = await asyncio.to_thread(oracle.read_bytes)
    books = compare(lines, [msgspec.json.decode(line) for line in written.splitlines()])
    books.quarantined, books.analytics = quarantined, int(analytics)
    await _look_into_redis(redis_url, books)
    return books


def compare(lines: list[dict], written: list[dict]) -> Books:
    """The ledger's lines against the engine's."""
    books = Books(ledger=sum(line["prompt"] + line["completion"] for line in lines))
    by_request: dict[str, list[dict]] = defaultdict(list)
    for line in lines:
        by_request[line["id"]].append(line)
    engine: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for entry in written:
        before = engine[entry["request_id"]]
        engine[entry["request_id"]] = (before[0] + entry["prompt_tokens"], before[1] + entry["completion_tokens"])
    books.written = sum(map(sum, engine.values()))
    books.missing = [request for request in engine if request not in by_request]
    for request, own in by_request.items():
        if len({line["line"] for line in own}) < len(own) or min(line["line"] for line in own) != 1:
            books.doubled.append(request)
        if request in engine:
            _compare_request(books, request, own, engine[request])
        elif any(line["prompt"] or line["completion"] for line in own):
            books.unheard[request] = sum(line["prompt"] + line["completion"] for line in own)
    return books


def _compare_request(books: Books, request: str, own: list[dict], wrote: tuple[int, int]) -> None:
    billed = sum(line["prompt"] for line in own), sum(line["completion"] for line in own)
    if billed == wrote:
        books.same += 1
        return
    if billed[0] > wrote[0] or billed[1] > wrote[1]:
        books.over_billed.append(f"{request}: billed {billed}, written {wrote}: {own}")
    elif any(line["lower_bound"] for line in own):
        books.lower_bounds[request] = sum(wrote) - sum(billed)
    elif own[0]["outcome"] in {"client_aborted", "upstream_failed", "cut"}:
        # What the engine wrote into its socket after the gateway had closed it was never read by anybody.
        books.lower_bounds[request] = sum(wrote) - sum(billed)
    else:
        books.different.append(f"{request}: billed {billed}, written {wrote}: {own}")


async def _look_into_redis(url: str, books: Books) -> None:
    client = aioredis.from_url(url, decode_responses=True)
    try:
        async for key in client.scan_iter("{o:*}:*", count=1000):
            kind = key.partition("}:")[2]
            if kind.startswith("bud:"):
                books.used += int(await client.hget(key, "used") or 0)
                books.reserved += int(await client.hget(key, "resv") or 0)
            elif kind == "out":
                books.outbox += await client.xlen(key)
            elif kind == "resv":
                books.open += await client.zcard(key)
    finally:
        await client.aclose()
