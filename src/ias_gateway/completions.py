"""One request, start to finish: who calls, what is asked, may it run, dispatch, settle."""

from collections.abc import Callable
from typing import Final

from uuid_utils import uuid7

from ias.contract.admission import Admitted, Near, NotReady, Refused
from ias.contract.answers import NO_RATE
from ias.contract.usage import Outcome
from ias_gateway import admission, counting, errors
from ias_gateway.account import Times, account
from ias_gateway.admission import Caller
from ias_gateway.asked import Asked, RedisDown
from ias_gateway.bodies.endpoints import Endpoint
from ias_gateway.bodies.strict import BadBody
from ias_gateway.charge import charge
from ias_gateway.dispatch import Attempt, dispatch
from ias_gateway.door import Door
from ias_gateway.early import Early, go_early
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.lead import note
from ias_gateway.reply import Reply
from ias_gateway.room import LARGE_BYTES
from ias_gateway.routing import Replica
from ias_gateway.tracing import known
from ias_gateway.work import Work

# An enumeration's member costs as much as all else of a short function.
_COMPLETED: Final = Outcome.COMPLETED
_ABORTED: Final = Outcome.CLIENT_ABORTED
_BROKE: Final = Outcome.UPSTREAM_FAILED
_OK: Final = 200
_FAILURES: dict[Outcome, Callable[[], ApiError]] = {
    Outcome.UPSTREAM_FAILED: errors.upstream_broke,
    Outcome.UPSTREAM_TIMEOUT: errors.upstream_timed_out,
    Outcome.CUT: lambda: ApiError(403, "Your access was withdrawn.", kind="permission_error", code="access_withdrawn"),
    Outcome.DRAINED: errors.restarting,
}


async def complete(door: Door, exchange: Exchange, endpoint: Endpoint) -> None:
    """Answer a request that an engine serves. Whatever happens, one that was admitted is settled once."""
    request_id = str(uuid7())
    work = Work(exchange, endpoint, b"x-request-id: %b\r\n" % request_id.encode())
    asked: Asked | None = None
    early: Early | None = None
    try:
        caller = exchange.caller or admission.identify(exchange.authorization)
        if len(exchange.body) > LARGE_BYTES:
            await door.vouching.vouch(caller)
        _read(door, work)
        asked = door.ledger.reserve(caller, request_id, work.ask)
        early = go_early(door, work, caller, request_id, asked)
        answer = door.ledger.reserved(caller, request_id, work.ask, await asked)
        if not isinstance(answer, Admitted):
            answer = await _undecided(door, work, caller, (request_id, answer, early))
        first = _admit(door, work, request_id, (answer, early))
        note(caller.leads, work.ask.model, answer, work.route, asked.since + door.early_s)
        outcome, reply = await _serve(door, work, first)
        _answer(work, reply, outcome)
    except (ApiError, RedisDown) as error:
        _refuse(door, work, (request_id, early), error)
    finally:
        _leave(door, work, request_id, (asked, early))
    door.note(exchange, request_id, endpoint.name)


async def _undecided(door: Door, work: Work, caller: Caller, told: tuple[str, Refused, Early | None]) -> Admitted:
    """The last word where a request was not let in: asked once more where its prompt is to be counted by an engine.

    Raises:
        ApiError: it is refused.
        RedisDown: there is no answer.
    """
    request_id, answer, early = told
    if early is not None:
        early.withdraw(door, work)
    if isinstance(answer, Near):
        work.ask = await counting.counted(door, answer, request_id, work.ask, work.body)
        reply = await door.ledger.reserve(caller, request_id, work.ask)
        final = door.ledger.reserved(caller, request_id, work.ask, reply)
        if isinstance(final, Admitted):
            return final
        answer = final
    if isinstance(answer, NotReady) and answer.unknown_org:
        answer = await door.ledger.unknown_organisation(caller.tag)
    raise admission.refusal(answer, work.ask.model)


def _leave(door: Door, work: Work, request_id: str, under_way: tuple[Asked | None, Early | None]) -> None:
    asked, early = under_way
    if asked is not None and not asked.done:
        # Something broke meanwhile: what is let in now is let go.
        asked.fail(RedisDown("nobody waits for it any more"))
    if early is not None and not early.accounted:
        early.refused(door, work)
    # What was not settled is left to the sweeper: its lease must not be extended.
    door.ledger.open.pop(request_id, None)
    work.exchange.watcher = None


def _refuse(door: Door, work: Work, who: tuple[str, Early | None], error: ApiError | RedisDown) -> None:
    request_id, early = who
    if early is not None and not early.accounted:
        # Before the client hears of it, and may ask again.
        early.refused(door, work)
    if isinstance(error, RedisDown):
        door.log.line("info", "admission could not be decided", request_id=request_id, error=str(error))
        error = errors.not_ready()
    work.exchange.refuse(error, work.head)


def _read(door: Door, work: Work) -> None:
    """What is asked, and a guess at its prompt. From here on nothing is kept of the key and the body as they came."""
    exchange, endpoint = work.exchange, work.endpoint
    try:
        work.body = body = endpoint.read(exchange.body)
        work.ask = ask = body.ask(endpoint.name)
    except BadBody as error:
        raise ApiError(400, error.message, param=error.param) from None
    exchange.body = exchange.authorization = b""
    if ask.streamed:
        work.wanted = body.wants_usage()
    if ask.guess < 0:
        ask.guess = door.ratios.guess(ask)


def _admit(door: Door, work: Work, request_id: str, told: tuple[Admitted, Early | None]) -> Attempt | None:
    """Take in what admission has decided; the attempt that is under way already, if it was sent early."""
    answer, early = told
    work.open = door.ledger.open[request_id]
    work.route = door.routing.route(work.ask.model, answer.route)
    if answer.requests is not NO_RATE:
        work.head += admission.limit_headers(answer)
    return None if early is None else early.confirmed(door, work, answer)


async def _serve(door: Door, work: Work, first: Attempt | None) -> tuple[Outcome, Reply]:
    """Dispatch, settle, and see that Redis is told."""
    try:
        reply, outcome, replica = await dispatch(door, work, first)
    except BadBody as error:
        # It could be read, but not be written anew.
        _settle(door, work, None, (Outcome.REJECTED, None))
        raise ApiError(400, error.message, param=error.param) from None
    except BaseException:
        _settle(door, work, None, (_BROKE, None))
        raise
    if outcome is _COMPLETED and reply.status != _OK:
        outcome = Outcome.REJECTED if reply.status in errors.ENGINE_REFUSES else _BROKE
    _settle(door, work, reply, (outcome, replica))
    # Redis hears of it before the client does.
    await door.ledger.told(work.open.tag)
    return outcome, reply


def _answer(work: Work, reply: Reply, outcome: Outcome) -> None:
    """The end of the answer, now that the request is settled."""
    exchange = work.exchange
    exchange.watcher = None
    if outcome is _ABORTED:
        exchange.close()
    elif reply.begun or reply.tail:
        failure = _FAILURES.get(outcome)
        reply.finish_stream(work.endpoint.failure(failure(), reply.scanner) if failure else b"")
    elif outcome is _COMPLETED:
        exchange.answer(_OK, reply.body, work.head)
    else:
        exchange.refuse(_failure(work, reply, outcome), work.head)


def _failure(work: Work, reply: Reply, outcome: Outcome) -> ApiError:
    if reply.status not in {0, _OK}:
        return errors.translate(
            reply.status, reply.body, (work.route.upstream_name, work.route.name), work.endpoint.prompt
        )
    if outcome is _BROKE and not reply.sent:
        return errors.overloaded()
    return _FAILURES[outcome]()


def _settle(door: Door, work: Work, reply: Reply | None, ending: tuple[Outcome, Replica | None]) -> None:
    outcome, replica = ending
    tokens, estimated = charge(work, reply, outcome)
    sent = reply is not None and reply.sent
    times = Times(
        work.exchange.started_at, reply.started_at if reply and sent else None, reply.first_at if reply else None
    )
    sent_to = (replica.quoted if replica else b'""', reply.status if reply else 0)
    facts = account(work.open, work.route, door.name, sent_to, times)
    if work.exchange.span is not None:
        facts = work.exchange.span.settled(facts, known(work.open, replica.url if replica else "", outcome, tokens))
    if not estimated:
        door.ratios.learn(work.ask, tokens[0])
    door.ledger.settle(work.open, tokens, (outcome, estimated), facts)
    door.timed(work.ask, times, tokens[1])
