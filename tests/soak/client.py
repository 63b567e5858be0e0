"""A client of the soak: asks what it is told to, and notes what it saw."""

import asyncio
from time import monotonic
from typing import Any

import httpx
import msgspec

from tests.soak.mix import Plan
from tests.soak.seen import End, Seen

SILENCE_S = 60.0
DONE = b"data: [DONE]\n\n"


class Client:
    """Connections to the gateway, taken anew now and then, so that every worker gets its share of them."""

    ANEW_AFTER = 40

    def __init__(self, url: str, tokens: dict[str, str], began: float) -> None:
        self._url = url
        self._tokens = tokens
        self._began = began
        self._asked = 0
        self._http = self._fresh()

    async def ask(self, plan: Plan) -> Seen:
        """One request, to its end."""
        self._asked += 1
        if self._asked % self.ANEW_AFTER == 0:
            await self.close()
            self._http = self._fresh()
        seen = Seen(self._now())
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._exchange(plan, seen)
        except TimeoutError:
            seen.end = End.SILENCE
        except httpx.ConnectError as error:
            seen.end, seen.detail = End.UNREACHABLE, repr(error)
        except httpx.HTTPError as error:
            seen.end, seen.detail = End.CUT if seen.status else End.DROPPED, repr(error)
        seen.ended = self._now()
        return seen

    async def close(self) -> None:
        await self._http.aclose()

    async def _exchange(self, plan: Plan, seen: Seen) -> None:
        headers = {"authorization": f"Bearer {plan.token or self._tokens[plan.tenant]}"} | plan.headers
        if plan.give_up_after is not None and not plan.streamed:
            await self._give_up_waiting(plan, seen, headers)
            return
        async with self._http.stream(plan.method, plan.path, content=plan.body, headers=headers) as answer:
            seen.status = answer.status_code
            seen.retry_after = "retry-after" in answer.headers
            seen.told_once = answer.headers.get("x-should-retry") == "false"
            told = bytearray()
            reads = 0
            async for part in answer.aiter_raw():
                seen.first = seen.first or self._now()
                told += part
                reads += 1
                if plan.give_up_after is not None and reads > plan.give_up_after:
                    seen.end = End.GIVEN_UP
                    return
        _read(plan, bytes(told), seen)

    async def _give_up_waiting(self, plan: Plan, seen: Seen, headers: dict[str, str]) -> None:
        """Hang up on an answer in one piece, if it takes longer than that."""
        try:
            async with asyncio.timeout((plan.give_up_after or 0) / 1000):
                answer = await self._http.request(plan.method, plan.path, content=plan.body, headers=headers)
        except TimeoutError:
            seen.end = End.GIVEN_UP
            return
        seen.status = answer.status_code
        seen.retry_after = "retry-after" in answer.headers
        seen.told_once = answer.headers.get("x-should-retry") == "false"
        _read(plan, answer.content, seen)

    def _fresh(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, timeout=SILENCE_S, verify=False, trust_env=False)

    def _now(self) -> float:
        return monotonic() - self._began


def _read(plan: Plan, told: bytes, seen: Seen) -> None:
    """What the whole of an answer says."""
    if not (plan.streamed and seen.status == 200):
        _note(_decode(told), seen)
        seen.end = End.WHOLE
        return
    events = [event.removeprefix(b"data: ") for event in told.split(b"\n\n") if event.startswith(b"data: ")]
    for event in events[-3:]:
        if event != b"[DONE]":
            _note(_decode(event), seen)
    if told.endswith(DONE) and seen.code is None:
        seen.end = End.WHOLE
    else:
        seen.end = End.ERROR if seen.code is not None and not told.endswith(DONE) else End.CUT


def _note(said: dict[str, Any], seen: Seen) -> None:
    error, usage = said.get("error"), said.get("usage")
    if isinstance(error, dict):
        seen.code = error.get("code") or ""
        seen.detail = str(error.get("message"))
    if isinstance(usage, dict):
        seen.tokens = usage.get("completion_tokens")


def _decode(text: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}
