"""Requests of the last weeks that never were: the same ones at every run, for pages that show how use develops."""

import math
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from ias.contract.usage import Outcome, UsageRecorded, encode_batch
from tests.product import Product

DAYS = 44
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Caller:
    """A key, whose it is, what it calls, and how often a day."""

    org: str
    user: str
    key: str
    model: tuple[str, str]
    daily: float
    prompt: int = 900
    completion: int = 300


def take_in(product: Product, callers: Sequence[Caller], folder: Path) -> None:
    """Have the product know of all requests of these callers, its gateways too."""
    file = folder / "history.json"
    file.write_bytes(encode_batch(tuple(_requests(callers))))
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.history", str(file)],
        cwd=ROOT,
        env=dict(product.env),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rebuilt = product.ias("ias", "projection", "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr


def _requests(callers: Sequence[Caller]) -> Iterator[UsageRecorded]:
    chance = random.Random(7)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    now = datetime.now(UTC)
    for caller in callers:
        for back in range(DAYS, -1, -1):
            day = today - timedelta(days=back)
            busy = 0.35 if day.weekday() > 4 else 1.0 + 0.6 * (DAYS - back) / DAYS
            for _ in range(round(caller.daily * busy * chance.uniform(0.7, 1.3))):
                at = day + timedelta(hours=max(0.0, min(23.9, chance.gauss(13.5, 3.2))), seconds=chance.uniform(0, 360))
                event = _request(caller, at, chance)
                if at < now - timedelta(minutes=2):
                    yield event


def _request(caller: Caller, at: datetime, chance: random.Random) -> UsageRecorded:
    failed = chance.random() < 0.012
    prompt = 1 + round(caller.prompt * math.exp(chance.gauss(0, 0.6)))
    completion = 0 if failed else 1 + round(caller.completion * math.exp(chance.gauss(0, 0.7)))
    first = 80 * math.exp(chance.gauss(0, 0.4))
    milliseconds = int(at.timestamp() * 1000)
    return UsageRecorded(
        request_id=UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | chance.getrandbits(62)),
        line=1,
        period=at.strftime("%Y%m"),
        organisation=UUID(caller.org),
        user=UUID(caller.user),
        key=UUID(caller.key),
        model=caller.model[0],
        model_id=UUID(caller.model[1]),
        endpoint="/v1/chat/completions",
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=round(prompt * chance.choice((0, 0, 0.25, 0.5))),
        outcome=Outcome.UPSTREAM_FAILED if failed else Outcome.COMPLETED,
        started_at=at,
        settled_at=at + timedelta(seconds=1 + completion / 90),
        streamed=chance.random() < 0.7,
        status=502 if failed else 200,
        gateway="gateway-1",
        replica="http://10.0.0.1:8000",
        duration_ms=round(first + completion * 11, 1),
        queue_ms=round(chance.uniform(0.2, 3), 2),
        first_token_ms=round(first, 1),
    )
