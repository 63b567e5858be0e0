"""The HTML door of the playground: a conversation with a model, and the same request for programs."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from ias.billing.playground import relay
from ias.billing.playground.domain import Asked, Refusal, Used, body, cost, snippets
from ias.billing.playground.queries import offered
from ias.billing.playground.relay import Answer, Begun
from ias.console.policy import unkept
from ias.console.visit import Visit
from ias.identity import Permission, Principal, held_key, requires
from ias.problems import BadRequest, FieldError, Problem
from ias.settings import settings

_PAGE = "billing/playground/playground.html"
PageRequest = Request[Principal, object, State]


class PlaygroundPages(Controller):
    """A conversation with a model."""

    path = "/orgs/{org_id:uuid}/playground"
    include_in_schema = False
    guards = (requires(Permission.KEYS_CREATE), requires(Permission.MODELS_READ))

    @get()
    async def begin(
        self,
        request: PageRequest,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        model: FromQuery[str] = "",
    ) -> Response[bytes]:
        """An empty conversation."""
        return visit.show(_PAGE, await _values(request, visit, principal, {"model": model}))

    @post(status_code=200)
    async def answer(
        self, request: PageRequest, visit: NamedDependency[Visit], principal: NamedDependency[Principal]
    ) -> Response[bytes]:
        """The whole answer at once, for browsers without JavaScript."""
        try:
            asked, token = _asked(visit), _token(request, principal)
        except Problem as problem:
            visit = visit.refused(problem)
            return visit.show(_PAGE, await _values(request, visit, principal, {}))
        work = relay.whole(principal.session_id, token, body(asked, streamed=False))
        got = await relay.unless_left(work, request.receive)
        if got is None:
            return visit.go(visit.path)
        return visit.show(_PAGE, await _values(request, visit, principal, {"asked": asked, "got": got}))

    @post("/stream", status_code=200)
    async def stream(
        self, request: PageRequest, visit: NamedDependency[Visit], principal: NamedDependency[Principal]
    ) -> Stream:
        """The answer as it comes, line by line as the gateway sends it; refusals are events of their own."""
        try:
            asked, token = _asked(visit), _token(request, principal)
        except Problem as problem:
            refused = Refusal(message=problem.detail, status=problem.status, todo="Mend it, then send it again.")
            return _events(_once(refused))
        return _events(relay.streamed(principal.session_id, token, body(asked, streamed=True)))

    @post("/code", status_code=200)
    async def code(
        self, request: PageRequest, visit: NamedDependency[Visit], principal: NamedDependency[Principal]
    ) -> Response[bytes]:
        """The request as programs would write it."""
        values = await _values(request, visit, principal, {})
        return visit.show_block(_PAGE, "code", values) if visit.block == "code" else visit.show(_PAGE, values)

    @post("/sum", status_code=200)
    async def sum(self, visit: NamedDependency[Visit], principal: NamedDependency[Principal]) -> Response[bytes]:
        """What an answer used, and what that costs."""
        used = visit.form.made(Used)
        prices = {model.name: model for model in await offered(principal)}
        price = cost(used, prices[used.model]) if used.model in prices else None
        return visit.show_block(_PAGE, "sum", {"used": used, "cost": price})


def _asked(visit: Visit) -> Asked:
    form = visit.form
    before = {name: form.sent(name) for name in ("asked", "answered")}
    return form.made(Asked, stop=_lines(form.secret("stop")), **before)


def _lines(text: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in text.split("\n") if line]


def _token(request: PageRequest, principal: Principal) -> str:
    """The token of the key that the playground calls with.

    Raises:
        BadRequest: it has none, or no more.
    """
    held = held_key(request.cookies, principal)
    if held is None:
        said = "the playground has no key, or it has ended; make a new one at the top of the page"
        raise BadRequest(said, (FieldError("", said),))
    return held.token


async def _values(
    request: PageRequest, visit: Visit, principal: Principal, known: dict[str, object]
) -> dict[str, object]:
    """What the page shows: the conversation so far, and the same for programs."""
    models, base_url = await offered(principal), f"{settings().gateway_url.rstrip('/')}/v1"
    asked, got = known.get("asked"), known.get("got")
    chosen = visit.form.text("model") or str(known.get("model", "")) or (models[0].name if models else "MODEL")
    shown = asked if isinstance(asked, Asked) else _sketch(visit, chosen)
    turns = list(zip(visit.form.sent("asked"), visit.form.sent("answered"), strict=False))
    values: dict[str, object] = {
        "held": held_key(request.cookies, principal),
        "models": models,
        "pairs": [(model.name, model.name) for model in models],
        "chosen": chosen,
        "turns": turns,
        "content": visit.form.text("content"),
        "snippets": list(snippets(shown, base_url)),
        "refused": got if isinstance(got, Refusal) else None,
        "last": None,
        "used": None,
        "cost": None,
        "base_url": base_url,
    }
    if isinstance(asked, Asked) and isinstance(got, Answer):
        used = msgspec.convert(msgspec.structs.asdict(got) | {"model": asked.model}, Used)
        price = next((cost(used, model) for model in models if model.name == asked.model), None)
        values |= {"last": (asked.content, got), "used": used, "cost": price, "content": ""}
    return values


def _sketch(visit: Visit, model: str) -> Asked:
    """What would be asked, as far as it is written down and right; what was asked last, where nothing new is."""
    form = visit.form
    asked, answered = form.sent("asked"), form.sent("answered")
    content = form.text("content")
    if not content and asked:
        content, asked = asked[-1], asked[:-1]
    known = {"model": model, "content": content or "Hello", "asked": asked, "answered": answered[: len(asked)]}
    try:
        return form.made(Asked, stop=_lines(form.secret("stop")), **known)
    except Problem:
        return Asked(model=model, content="Hello")


def _events(parts: AsyncIterator[Begun | bytes | Refusal]) -> Stream:
    headers = unkept() | {"X-Accel-Buffering": "no"}
    return Stream(
        _encoded(parts),
        status_code=HTTPStatus.OK,
        headers=headers,
        media_type="text/event-stream",
    )


async def _encoded(parts: AsyncIterator[Begun | bytes | Refusal]) -> AsyncIterator[bytes]:
    async for part in parts:
        match part:
            case bytes():
                yield part
            case Begun():
                yield _event("begun", part)
            case Refusal():
                yield _event("refused", part)


def _event(name: str, data: object) -> bytes:
    return f"\n\nevent: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


async def _once(refused: Refusal) -> AsyncIterator[Begun | bytes | Refusal]:
    yield refused
