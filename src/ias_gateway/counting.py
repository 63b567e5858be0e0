"""Near the end of a budget a prompt is counted by an engine: its upper bound, bytes, is several times what it is.

The engine's own `/tokenize` applies the model's template, with tools and the beginning of the answer, as it will for
the request itself. What of a request it cannot be told is added as its upper bound, so that the count is never less
than what will be charged. Away from the budget's end nobody asks.
"""

import asyncio

import msgspec

from ias.contract.admission import Ask, Near
from ias_gateway.bodies.body import Body
from ias_gateway.bodies.chat import ChatBody
from ias_gateway.bodies.endpoints import JSON
from ias_gateway.bodies.messages import OVERHEAD
from ias_gateway.bodies.prompts import SPECIAL
from ias_gateway.bodies.strict import encode, printed
from ias_gateway.bodies.text import Text
from ias_gateway.bodies.tokenizers import Tokenize
from ias_gateway.door import Door
from ias_gateway.inquiry import Unanswered, answer_to
from ias_gateway.routing import Replica
from ias_gateway.scanner import UNREADABLE, Count

COUNT_WITHIN_S = 0.5
"""A client waits no longer for it; then the upper bound decides."""
_PATH = b"/tokenize"
_OK = 200


class _Counted(msgspec.Struct):
    count: Count


_decode = msgspec.json.Decoder(_Counted).decode


async def counted(door: Door, near: Near, request_id: str, ask: Ask, body: Body) -> Ask:
    """What to ask for once more, now for good: the prompt as counted, or its bound where no engine says in time."""
    count = await _count(door, (ask.model, near.route), request_id, body)
    door.metrics.counted.values[("failed" if count is None else "counted",)] += 1
    prompt = ask.prompt if count is None else min(ask.prompt, count)
    return ask.counted(prompt)


def question(body: Body, name: str) -> tuple[bytes, int] | None:
    """What to ask of `/tokenize`, and tokens at most that the answer leaves out; None where it cannot tell.

    `name` is the engine's name of the model. Images, several prompts and prompts of tokens are not asked about.
    """
    match body:
        case ChatBody() if not body.ask("").images:
            return _chat(body, name)
        case Text(prompt=str(prompt)):
            return encode(Tokenize(model=name, prompt=prompt)), SPECIAL
        case _:
            return None


def _chat(body: ChatBody, name: str) -> tuple[bytes, int]:
    given, rare = body.given, body.rare
    asked = Tokenize(
        model=name, messages=given.messages, chat_template_kwargs=given.chat_template_kwargs, tools=given.tools
    )
    if rare is not None:
        asked.add_special_tokens = rare.add_special_tokens
        asked.add_generation_prompt = rare.add_generation_prompt
        asked.continue_final_message = rare.continue_final_message
    untold = (given.response_format, rare and rare.documents, given.reasoning_effort)
    return encode(asked), OVERHEAD + (printed(untold) if any(untold) else 0)


async def _count(door: Door, near: tuple[str, bytes], request_id: str, body: Body) -> int | None:
    """Tokens of a prompt at most; None where no engine says in time. `near` is its model and the route told."""
    route = door.routing.route(*near)
    asked = question(body, route.upstream_name)
    replica = door.routing.choose(route, (), b"") if asked else None
    if asked is None or replica is None:
        return None
    try:
        # In a task: what has a time limit needs one.
        return await asyncio.get_running_loop().create_task(_ask(replica, request_id, asked[0])) + asked[1]
    except (OSError, TimeoutError, Unanswered, *UNREADABLE) as error:
        door.log.line("info", "a prompt could not be counted", request_id=request_id, error=repr(error))
        return None


async def _ask(replica: Replica, request_id: str, body: bytes) -> int:
    async with asyncio.timeout(COUNT_WITHIN_S):
        status, told = await answer_to(replica.pool, replica.pool.message(_PATH, JSON, f"{request_id}-count", body))
    if status != _OK:
        raise Unanswered(f"/tokenize answers {status}")
    return _decode(told).count
