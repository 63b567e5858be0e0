"""Tries every replica of a route as for a client: is it healthy, does it know the model, answer, and tell usage."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter

import msgspec

from ias.contract.trials import WITHIN_S, Call, Replica, Trial, Tried
from ias_gateway.addresses import Addresses
from ias_gateway.bodies.endpoints import JSON
from ias_gateway.knock import Heard, NoAnswer, knock
from ias_gateway.upstream import Pool, question

MOST_NAMES = 20
"""Of the models that an engine lists."""
_LONGEST_NAME = 128

_CHAT: dict[str, object] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
SMALLEST: tuple[tuple[bytes, dict[str, object]], ...] = (
    (b"/v1/chat/completions", _CHAT),
    (b"/v1/completions", {"prompt": "Hi", "max_tokens": 1}),
    (b"/v1/embeddings", {"input": "Hi"}),
    (b"/v1/rerank", {"query": "Hi", "documents": ["Hi"]}),
)
"""What a model of each kind takes; of the others an engine says that there is no such route."""
_NOT_FOUND = 404
_NO_TEMPLATE = 400
"""What a model without a chat template says to a chat."""


class _Model(msgspec.Struct):
    id: str
    max_model_len: int | None = None


class _Models(msgspec.Struct):
    data: list[_Model]


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: dict[str, msgspec.Raw] | None = None


class _Answered(msgspec.Struct):
    usage: _Usage | None = None


_models = msgspec.json.Decoder(_Models).decode
_answered = msgspec.json.Decoder(_Answered).decode


async def tried(trial: Trial, addresses: Addresses) -> list[Replica]:
    """What each replica of the route does, in its order; done in `WITHIN_S`."""
    until = asyncio.get_running_loop().time() + WITHIN_S
    asking = [_Asking(url, addresses, until) for url in trial.route.replicas]
    return list(await asyncio.gather(*(_replica(one, trial) for one in asking)))


class _Asking:
    """Asks one replica, until a moment of the loop's clock."""

    def __init__(self, url: str, addresses: Addresses, until: float) -> None:
        self.url = url
        self.pool = Pool(url, addresses)
        self._addresses = addresses
        self._until = until

    async def ask(self, message: bytes) -> tuple[Tried, Heard | None]:
        """How it went, and the answer where there is one."""
        began = perf_counter()
        try:
            async with asyncio.timeout_at(self._until):
                heard = await knock(self.url, self._addresses, message)
        except TimeoutError:
            return Tried(why=f"no answer within {WITHIN_S:g} s"), None
        except NoAnswer as error:
            return Tried(why=str(error)), None
        return Tried(heard.status, round((perf_counter() - began) * 1000, 1)), heard


async def _replica(asking: _Asking, trial: Trial) -> Replica:
    health, (models, served), call = await asyncio.gather(
        _only_how(asking.ask(question(asking.url, b"/health"))), _served(asking, trial), _call(asking, trial)
    )
    return Replica(asking.url, health, models, served, call)


async def _only_how(asked: Awaitable[tuple[Tried, Heard | None]]) -> Tried:
    how, _ = await asked
    return how


async def _served(asking: _Asking, trial: Trial) -> tuple[Tried, dict[str, int]]:
    """The names that it lists, some of many, and the context length of each."""
    how, heard = await asking.ask(question(asking.url, b"/v1/models"))
    if heard is None or not how.well:
        return how, {}
    try:
        listed = _models(heard.body).data
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Tried(ms=how.ms, why="what it answers is no list of models"), {}
    # Stable: the one that is looked for comes first, and is not lost among many.
    listed.sort(key=lambda model: model.id != trial.route.upstream_name)
    return how, {model.id[:_LONGEST_NAME]: model.max_model_len or 0 for model in listed[:MOST_NAMES]}


async def _call(asking: _Asking, trial: Trial) -> Call:
    """The first kind of request that the engine has a route for, made as small as can be."""
    call = Call("", Tried())
    for path, smallest in SMALLEST:
        body = msgspec.json.encode({"model": trial.route.upstream_name, **smallest})
        how, heard = await asking.ask(asking.pool.message(path, JSON, trial.id, body))
        attempt = _read(path.decode(), how, heard, trial)
        # Of all refusals the first is told: most models chat.
        call = attempt if how.well or not call.path else call
        if how.status not in {_NOT_FOUND, _NO_TEMPLATE}:
            return attempt
    return call


def _read(path: str, how: Tried, heard: Heard | None, trial: Trial) -> Call:
    if heard is None or not how.well:
        return Call(path, how)
    try:
        usage = _answered(heard.body).usage
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Call(path, Tried(ms=how.ms, why="its answer cannot be read"))
    known = usage or _Usage()
    return Call(
        path,
        how,
        request_id=trial.id in heard.request_id,
        usage=usage is not None,
        details=known.prompt_tokens_details is not None,
        prompt_tokens=known.prompt_tokens,
        completion_tokens=known.completion_tokens or 0,
    )
