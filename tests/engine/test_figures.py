"""What only a real engine can answer, with figures: is its usage what is charged, when does it stop, who shares."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from typing import Any

import httpx
import pytest

from tests.engine.figures import Figures
from tests.engine.rig import ANSWERS_WITHIN_S, NAME, Caller, Counters
from tests.engine.samples import CHAT, MESSAGES, RESPONSES, TEXT, WEATHER
from tests.integration.gateway.place import eventually

ENDLESS: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 400, "ignore_eos": True, "temperature": 0}
FEW_TOKENS = 8
CALLS, AT_ONCE = 60, 6
PROMPT = " ".join(f"Rule {number} of the house is that nobody pays for what they did not get." for number in range(25))


def difference(before: dict[str, float], after: dict[str, float]) -> tuple[float, float]:
    return after["prompt"] - before["prompt"], after["generation"] - before["generation"]


async def read_events(answer: httpx.Response, number: int) -> None:
    """Read so many events with text; the first event of a chat has none."""
    seen = -1
    async for line in answer.aiter_lines():
        seen += line.startswith("data: ")
        if seen >= number:
            return
    raise AssertionError(f"the stream ended after {seen} events")


@pytest.mark.parametrize("events", [0, 1, 3, 10, 40])
async def test_a_stream_cut_by_its_client_is_charged_what_the_engine_had_sent(
    caller: Caller, counters: Counters, figures: Figures, events: int
) -> None:
    before = await counters.settled()
    async with caller.http.stream("POST", CHAT, json={"model": NAME, "stream": True, **ENDLESS}) as answer:
        await read_events(answer, events)
    (line,) = await caller.lines()
    prompt, output = difference(before, await counters.settled())
    charged = int(line["ct"])
    figures.add("running usage", f"cut after {events} tokens: output", "tokens", gateway=charged, engine=output)
    assert line["o"] == "client_aborted"
    assert int(line["pt"]) == prompt
    assert events <= charged <= output <= charged + FEW_TOKENS


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engine_stops_when_the_client_goes(
    caller: Caller, counters: Counters, figures: Figures, stream: bool
) -> None:
    before = await counters.settled()
    asking = asyncio.create_task(_read_all(caller, stream))

    async def under_way() -> bool:
        return (await counters.read())["generation"] > before["generation"] + 5

    await eventually(under_way, within=ANSWERS_WITHIN_S)
    asking.cancel()
    left = time.monotonic()
    last, known = left, await counters.read()
    while time.monotonic() - last < 1:
        now = await counters.read()
        if now != known:
            known, last = now, time.monotonic()
        assert last - left < 20, "the engine goes on"
        await asyncio.sleep(0.005)
    with pytest.raises(asyncio.CancelledError):
        await asking
    prompt, output = difference(before, known)
    (line,) = await caller.lines()
    case = "streamed" if stream else "not streamed"
    figures.add("after a disconnect", f"{case}: all is counted, nothing runs after", "s", engine=last - left)
    figures.add("after a disconnect", f"{case}: prompt", "tokens", gateway=int(line["pt"]), engine=prompt)
    figures.add("after a disconnect", f"{case}: output", "tokens", gateway=int(line["ct"]), engine=output)
    assert (line["o"], known["busy"]) == ("client_aborted", 0)
    assert output < ENDLESS["max_tokens"]
    if stream:
        assert (int(line["pt"]), int(line["ct"])) <= (prompt, output)


async def _read_all(caller: Caller, stream: bool) -> None:
    async with caller.http.stream("POST", CHAT, json={"model": NAME, "stream": stream, **ENDLESS}) as answer:
        async for _ in answer.aiter_bytes():
            pass


async def test_the_prefix_cache_is_shared_within_an_organisation_and_by_no_other(
    callers: Callable[[], Awaitable[Caller]], figures: Figures
) -> None:
    ours, others = await callers(), await callers()
    asked = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 2, "temperature": 0}
    cached = []
    for caller in (ours, ours, others, others):
        answer = await caller.ask(CHAT, asked)
        cached.append(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"])
    charged = [int(line["ca"]) for caller in (ours, others) for line in await caller.lines(2)]
    cases = ("an organisation, first", "the same, again", "another one, first", "that one, again")
    for case, told, counted in zip(cases, charged, cached, strict=True):
        figures.add("cache salt", f"{case}: cached", "tokens", gateway=told, engine=counted)
    assert charged == cached
    assert cached[0] == cached[2] == 0
    assert cached[1] == cached[3] > 0


KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("chats", CHAT, {"messages": MESSAGES, "max_tokens": 12}),
    ("streamed chats", CHAT, {"messages": MESSAGES, "max_tokens": 20, "stream": True}),
    ("completions", TEXT, {"prompt": "Once upon a time", "max_tokens": 16}),
    ("streamed completions", TEXT, {"prompt": "Once upon a time", "max_tokens": 9, "stream": True}),
    ("responses", RESPONSES, {"input": "Name three colours.", "max_output_tokens": 16}),
    ("streamed responses", RESPONSES, {"input": "Name three colours.", "max_output_tokens": 16, "stream": True}),
    ("two prompts in one", TEXT, {"prompt": ["One, two,", "Un, deux,"], "max_tokens": 7}),
    ("tool calls", CHAT, {"messages": MESSAGES, "tools": [WEATHER], "tool_choice": "required", "max_tokens": 60}),
    ("stopped by a string", CHAT, {"messages": MESSAGES, "max_tokens": 40, "stop": ["the", "a"]}),
    ("cached prompts", CHAT, {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 3}),
)


async def test_over_a_mixed_load_the_lines_add_up_to_the_engines_own_counters(
    caller: Caller, counters: Counters, figures: Figures
) -> None:
    before = await counters.settled()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(path: str, fields: dict[str, Any]) -> int:
        async with room:
            return (await caller.ask(path, fields)).status_code

    kinds = islice(cycle(KINDS), CALLS)
    codes = await asyncio.gather(*(one(path, fields) for _, path, fields in kinds))
    assert codes == [200] * CALLS
    prompt, output = await caller.spent(CALLS)
    counted = difference(before, await counters.settled())
    figures.add("totals", f"{CALLS} calls of {len(KINDS)} kinds: prompt", "tokens", gateway=prompt, engine=counted[0])
    figures.add("totals", f"{CALLS} calls of {len(KINDS)} kinds: output", "tokens", gateway=output, engine=counted[1])
    assert (prompt, output) == counted


async def test_several_choices_are_one_prompt_to_the_ledger(
    caller: Caller, counters: Counters, figures: Figures
) -> None:
    before = await counters.settled()
    await caller.ask(CHAT, {"messages": MESSAGES, "max_tokens": 5, "n": 3, "temperature": 1})
    prompt, output = await caller.spent(1)
    counted = difference(before, await counters.settled())
    figures.add("totals", "one call with three choices: prompt", "tokens", gateway=prompt, engine=counted[0])
    figures.add("totals", "one call with three choices: output", "tokens", gateway=output, engine=counted[1])
    assert output == counted[1]
    assert counted[0] in {prompt, 3 * prompt}
