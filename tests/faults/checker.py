"""Whether the books are right: the ledger against what the engine wrote and what was seen, Redis against the ledger."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import asyncpg
import msgspec
import redis.asyncio as aioredis
from aio_pika.exceptions import AMQPError

from ias.bus import dead_letters
from ias.contract.usage import ANALYTICS_QUEUE, LEDGER_QUEUE
from tests.faults.witness import Witness

UNBILLED_MS = 250
"""Generation that a killed gateway may leave unbilled, of a stream."""
Tokens = tuple[int, int]
"""Of prompt and completion."""
LINES = """
SELECT request_id::text AS id, line, org_id::text AS org, prompt_tokens AS prompt, completion_tokens AS completion,
    outcome, lower_bound, estimated, streamed
FROM billing.ledger_lines
"""
QUARANTINED = "SELECT reason FROM billing.quarantine UNION ALL SELECT reason FROM analytics.quarantine"
_EARLY = {"client_aborted", "upstream_failed", "upstream_timeout", "cut", "drained"}
"""What the engine wrote into its socket after the gateway had closed it was never read by anybody."""


@dataclass
class Books:
    """What is wrong; nothing is, where all collections are empty and all sums are equal."""

    same: int = 0
    """Requests that were billed to the token as the engine wrote."""
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: dict[str, str] = field(default_factory=dict)
    """By request: billed otherwise than written, without one of the reasons below."""
    over_billed: dict[str, str] = field(default_factory=dict)
    underseen: dict[str, str] = field(default_factory=dict)
    """Billed less than the client read, though no gateway was killed."""
    difference: Counter[str] = field(default_factory=Counter)
    """Tokens by which those three are wrong."""
    lower_bounds: dict[str, int] = field(default_factory=dict)
    """Tokens that a request was billed less than the engine wrote, since it ended early or its gateway was killed."""
    unbilled_ms: dict[str, float] = field(default_factory=dict)
    """Of those whose gateway was killed in the midst of a stream: how long the unbilled tokens took."""
    most_unbilled_ms: float = UNBILLED_MS
    """What of it is allowed."""
    unheard: dict[str, int] = field(default_factory=dict)
    """Tokens of billed requests of which the engine wrote no line: it was killed before their end."""
    sent_anew: dict[str, int] = field(default_factory=dict)
    """Tokens that the engine wrote of attempts before the last: broken before a byte was read, or taken back."""
    spent: Counter[str] = field(default_factory=Counter)
    """Tokens by organisation."""
    reserved: int = 0
    outbox: int = 0
    open: int = 0
    quarantined: int = 0
    reasons: list[str] = field(default_factory=list)
    """Why anything was set aside."""
    dead: int = 0
    used: int = 0
    ledger: int = 0
    written: int = 0
    analytics: int = 0

    @property
    def quiet(self) -> bool:
        return not (self.reserved or self.outbox or self.open)

    @property
    def right(self) -> bool:
        return self.quiet and not self.wrongs()

    def less(self, before: "Books") -> "Books":
        """The same without what was wrong already."""
        for name in ("missing", "doubled"):
            setattr(self, name, [request for request in getattr(self, name) if request not in getattr(before, name)])
        for name in (
            "different",
            "over_billed",
            "underseen",
            "difference",
            "lower_bounds",
            "unbilled_ms",
            "unheard",
            "sent_anew",
        ):
            known = getattr(before, name)
            for request in [request for request in getattr(self, name) if request in known]:
                del getattr(self, name)[request]
        self.used -= before.used - before.ledger
        self.analytics -= before.analytics - before.ledger
        for name in ("reserved", "open", "outbox", "quarantined", "dead"):
            setattr(self, name, max(0, getattr(self, name) - getattr(before, name)))
        return self

    def wrongs(self) -> list[str]:
        """Everything that is wrong, in words."""
        found: list[str] = []
        for what in ("missing", "doubled", "different", "over_billed", "underseen"):
            those = getattr(self, what)
            if those:
                some = list(those.values() if isinstance(those, dict) else those)[:3]
                found.append(f"{len(those)} requests {what}: {some}")
        left = {what: getattr(self, what) for what in ("reserved", "open", "outbox", "quarantined", "dead")}
        found += [f"{number} {what}" for what, number in left.items() if number]
        if self.quarantined and self.reasons:
            found.append(f"quarantined for: {self.reasons[:3]}")
        if not self.used == self.ledger == self.analytics:
            found.append(f"Redis has {self.used} tokens, the ledger {self.ledger}, analytics {self.analytics}")
        late = {request: ms for request, ms in self.unbilled_ms.items() if ms > self.most_unbilled_ms}
        if late:
            found.append(
                f"{len(late)} streams are short of more than {self.most_unbilled_ms} ms: {list(late.items())[:3]}"
            )
        return found


async def check(
    database_url: str, redis_url: str, oracle: Path, witness: Witness | None = None, amqp_url: str | None = None
) -> Books:
    """Compare all that has been written so far."""
    connection = await asyncpg.connect(database_url)
    try:
        lines = [dict(row) for row in await connection.fetch(LINES)]
        quarantined = [row["reason"] for row in await connection.fetch(QUARANTINED)]
        analytics = await connection.fetchval(
            "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) FROM analytics.usage_daily"
        )
    finally:
        await connection.close()
    written = await asyncio.to_thread(oracle.read_bytes)
    books = compare(lines, [msgspec.json.decode(line) for line in written.splitlines()], witness)
    books.quarantined, books.reasons, books.analytics = len(quarantined), sorted(set(quarantined)), int(analytics)
    await look_into_redis(redis_url, books)
    if amqp_url is not None:
        books.dead = await _dead_letters(amqp_url)
    return books


def compare(lines: list[dict], written: list[dict], witness: Witness | None = None) -> Books:
    """The ledger's lines against the engine's, and against what was seen from outside."""
    witness = witness or Witness()
    books = Books(ledger=sum(line["prompt"] + line["completion"] for line in lines))
    by_request: dict[str, list[dict]] = defaultdict(list)
    for line in lines:
        by_request[line["id"]].append(line)
        books.spent[line["org"]] += line["prompt"] + line["completion"]
    engine: dict[str, list[Tokens]] = defaultdict(list)
    for entry in written:
        engine[entry["request_id"]].append((entry["prompt_tokens"], entry["completion_tokens"]))
        books.written += entry["prompt_tokens"] + entry["completion_tokens"]
    books.missing = sorted((set(engine) | witness.admitted) - set(by_request))
    for request, own in by_request.items():
        if [line["line"] for line in sorted(own, key=lambda line: line["line"])] != list(range(1, len(own) + 1)):
            books.doubled.append(request)
        elif request in engine:
            _compare_request(books, request, own, (engine[request], witness))
        elif any(line["prompt"] or line["completion"] for line in own):
            books.unheard[request] = sum(line["prompt"] + line["completion"] for line in own)
    return books


def _compare_request(books: Books, request: str, own: list[dict], known: tuple[list[Tokens], Witness]) -> None:
    attempts, witness = known
    wrote = sum(prompt for prompt, _ in attempts), sum(completion for _, completion in attempts)
    billed = sum(line["prompt"] for line in own), sum(line["completion"] for line in own)
    seen = witness.seen[request]
    said = f"{request}: billed {billed}, written {wrote}, {seen} seen: {own}"
    lost = any(line["lower_bound"] for line in own)
    if any(line["estimated"] for line in own) or (request in witness.lied and sum(billed) <= sum(wrote)):
        books.lower_bounds[request] = sum(wrote) - sum(billed)
    elif billed[0] > wrote[0] or billed[1] > wrote[1]:
        books.over_billed[request] = said
        books.difference[request] = max(0, billed[0] - wrote[0]) + max(0, billed[1] - wrote[1])
    elif billed[1] < seen and not lost:
        books.underseen[request] = said
        books.difference[request] = seen - billed[1]
    elif billed == wrote or billed in attempts:
        # Of an attempt that broke before its first byte was read, or that was taken back, nothing is billed.
        books.same += 1
        books.sent_anew |= {request: sum(wrote) - sum(billed)} if billed != wrote else {}
    elif lost or own[-1]["outcome"] in _EARLY:
        books.lower_bounds[request] = sum(wrote) - sum(billed)
        if lost and request in witness.delays_ms:
            # Between the first token that is not billed and the last one.
            books.unbilled_ms[request] = max(0, wrote[1] - billed[1] - 1) * witness.delays_ms[request]
    else:
        books.different[request] = said
        books.difference[request] = sum(wrote) - sum(billed)


async def look_into_redis(url: str, books: Books) -> None:
    """What is used, held and waiting there."""
    client = aioredis.from_url(url, decode_responses=True)
    books.used = books.reserved = books.outbox = books.open = 0
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


async def _dead_letters(amqp_url: str) -> int:
    """Messages in the dead-letter queues; a queue that is not there holds none."""
    waiting = 0
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        for queue in (LEDGER_QUEUE, ANALYTICS_QUEUE):
            channel = await connection.channel()
            try:
                found = await channel.declare_queue(dead_letters(queue), passive=True, timeout=10)
            except AMQPError:
                continue
            waiting += found.declaration_result.message_count or 0
    return waiting
