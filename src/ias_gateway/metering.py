"""Reads what engines count themselves, for those who hold the books against it: one gateway, every ten seconds."""

import asyncio
import re
from collections.abc import Sequence
from random import uniform
from time import time

from ias.contract import readings
from ias.contract.admission import Command
from ias.contract.beats import TAG
from ias.contract.readings import EVERY_S, MOST, Reading
from ias_gateway.addresses import Addresses
from ias_gateway.asked import Reply, Then
from ias_gateway.knock import NoAnswer, knock
from ias_gateway.log import Log
from ias_gateway.redis import pack
from ias_gateway.store import Store
from ias_gateway.upstream import question

ANSWER_WITHIN_S = 4.0
REDIS_WITHIN_S = 2.0
AT_ONCE = 16
_DAY_S = 86_400.0
"""An engine's clock may be that far ahead of ours."""
_OK = 200
_JITTER = 0.8, 1.2
"""Gateways that started together do not ask for their turn together."""
_COUNTERS = {
    name: re.compile(rb"^%b(?:\{[^\r\n]*\})? ([0-9.eE+]+)" % re.escape(metric), re.MULTILINE)
    for name, metric in {
        "prompt_tokens": b"vllm:prompt_tokens_total",
        "generation_tokens": b"vllm:generation_tokens_total",
        "requests": b"vllm:request_success_total",
    }.items()
}
"""vLLM has a line of each for every engine core behind the port, and of requests for every way to end."""
_STARTED = re.compile(rb"^process_start_time_seconds(?:\{[^\r\n]*\})? ([0-9.eE+]+)", re.MULTILINE)


async def meter(name: str, store: Store, addresses: Addresses, log: Log) -> None:
    """Take one's turn for ever. Whatever goes wrong, the counters are still there the next time."""
    while True:
        await asyncio.sleep(EVERY_S * uniform(*_JITTER))  # noqa: S311 - no secret
        try:
            if store.connected:
                await turn(name, store, addresses)
        except TimeoutError:
            continue
        except Exception as error:  # noqa: BLE001 - a turn that fails must not be the last one
            log.line("error", "the engines' counters could not be read", error=repr(error))


def counted(url: str, exposition: bytes, at: float) -> Reading | None:
    """The counters that an engine shows; None where it shows none of vLLM's, or what cannot be."""
    found = {name: pattern.findall(exposition) for name, pattern in _COUNTERS.items()}
    if not found["prompt_tokens"]:
        return None
    try:
        sums = {name: int(sum(map(float, numbers))) for name, numbers in found.items()}
        started_at = max(map(float, _STARTED.findall(exposition)), default=0.0)
    except (ValueError, OverflowError):
        return None
    if max(sums.values()) > MOST or started_at > at + _DAY_S:
        return None
    return Reading(url=url, at=at, started_at=started_at, **sums)


async def turn(name: str, store: Store, addresses: Addresses) -> None:
    """Read what is wanted, unless another gateway has just done so.

    Raises:
        TimeoutError: Redis says nothing.
    """
    urls = readings.read_wanted(await _asked(store, readings.WANTED))
    if not urls or await _asked(store, readings.take_turn(name)) != b"OK":
        return
    for start in range(0, len(urls), AT_ONCE):
        some = await _read(urls[start : start + AT_ONCE], addresses)
        if some:
            await _asked(store, readings.tell(some))


async def _read(urls: Sequence[str], addresses: Addresses) -> list[Reading]:
    found = await asyncio.gather(*(_one(url, addresses) for url in urls))
    return [reading for reading in found if reading is not None]


async def _one(url: str, addresses: Addresses) -> Reading | None:
    """What one replica counts; None where it does not tell."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            heard = await knock(url, addresses, question(url, b"/metrics"))
    except (TimeoutError, NoAnswer, ValueError):
        return None
    return counted(url, heard.body, time()) if heard.status == _OK else None


async def _asked(store: Store, command: Command) -> Reply:
    """What Redis says, an error too.

    Raises:
        TimeoutError: it says nothing.
    """
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def answered(reply: Reply) -> None:
        if not answer.done():
            answer.set_result(reply)

    store.write(TAG, Then(answered), pack(command))
    return await asyncio.wait_for(answer, REDIS_WITHIN_S)
