"""One request, start to finish: who calls, what is asked, may it run, dispatch, settle."""

from collections.abc import Callable
from time import monotonic, time

from uuid_utils import uuid7

from ias.contract.admission import Admitted, Ask
from ias.contract.catalogue import ModelRoute
from ias.contract.usage import Facts, Outcome
from ias_gateway import admission, errors
from ias_gateway.bodies.endpoints import Body, Endpoint
from ias_gateway.bodies.strict import BadBody
from ias_gateway.door import Door, milliseconds
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.ledger import Open
from ias_gateway.redis import RedisDown
from ias_gateway.reply import Reply
from ias_gateway.routing import Replica

ATTEMPTS = 2
BYTES_PER_TOKEN = 4
"""For requests of which the engine reported nothing; such lines are marked as estimated."""
_OK = 200
_FAULT = 500
_FAILURES: dict[Outcome, Callable[[], ApiError]] = {
    Outcome.UPSTREAM_FAILED: errors.upstream_broke,
    Outcome.UPSTREAM_TIMEOUT: errors.upstream_timed_out,
    Outcome.CUT: lambda: ApiError(403, "Your access was withdrawn.", kind="permission_error", code="access_withdrawn"),
    Outcome.DRAINED: errors.restarting,
}


class Work:
    """What is known of a request under way."""

    __slots__ = ("ask", "body", "endpoint", "exchange", "head", "open", "payload", "route")

    def __init__(self, exchange: Exchange, endpoint: Endpoint) -> None:
        self.exchange = exchange
        self.endpoint = endpoint
        self.head = b""
        self.body: Body
        self.ask: Ask
        self.open: Open
        self.payload = b""
        self.route: ModelRoute

    def let_go(self) -> None:
        """The answer has begun: there is no second attempt, and an open stream keeps no prompt."""
        self.payload = b""


async def complete(door: Door, exchange: Exchange, endpoint: Endpoint) -> None:
    """Answer a request that an engine serves."""
    request_id = str(uuid7())
    work = Work(exchange, endpoint)
    work.head = b"x-request-id: %b\r\n" % request_id.encode()
    try:
        await _admit(door, work, request_id)
        await _serve(door, work)
    except ApiError as error:
        exchange.refuse(error, work.head)
    except RedisDown as error:
        door.log.line("info", "admission could not be decided", request_id=request_id, error=str(error))
        exchange.refuse(errors.not_ready(), work.head)
    finally:
        # What was not settled is left to the sweeper: its lease must not be extended.
        door.ledger.open.pop(request_id, None)
        exchange.watcher = None
    door.note(exchange, request_id, endpoint.name)


async def _admit(door: Door, work: Work, request_id: str) -> None:
    """Everything that can refuse the request."""
    caller = work.exchange.caller or admission.identify(work.exchange.authorization)
    work.exchange.authorization = b""
    try:
        work.body = work.endpoint.read(work.exchange.body)
        work.ask = work.body.ask(work.endpoint.name)
    except BadBody as error:
        raise ApiError(400, error.message, param=error.param) from None
    work.exchange.body = b""
    admitted = await door.ledger.reserve(caller, request_id, work.ask)
    if not isinstance(admitted, Admitted):
        raise admission.refusal(admitted, work.ask.model)
    work.open = door.ledger.open[request_id]
    work.route = door.routing.route(admitted.route)
    work.head += admission.limit_headers(admitted)


async def _serve(door: Door, work: Work) -> None:
    """Dispatch, settle, answer. Whatever happens, the request is settled once."""
    try:
        reply, outcome, replica = await _dispatch(door, work)
    except BadBody as error:
        # It could be read, but not be written anew.
        _settle(door, work, None, (Outcome.REJECTED, ""))
        raise ApiError(400, error.message, param=error.param) from None
    except BaseException:
        _settle(door, work, None, (Outcome.UPSTREAM_FAILED, ""))
        raise
    if outcome is Outcome.COMPLETED and reply.status != _OK:
        outcome = Outcome.REJECTED if reply.status in errors.ENGINE_REFUSES else Outcome.UPSTREAM_FAILED
    _settle(door, work, reply, (outcome, replica.url))
    # Redis hears of it before the client does.
    await door.redis.flushed()
    _answer(work, reply, outcome)


async def _dispatch(door: Door, work: Work) -> tuple[Reply, Outcome, Replica]:
    """Send to a replica; to a second one where the first broke before its first byte or answered 503."""
    wanted = work.body.wants_usage()
    salt = door.salt_of(work.open.admitted.org) if work.route.tenant_salt else None
    beginning = work.open.admitted.org.encode() + work.body.beginning() if len(work.route.replicas) > 1 else b""
    work.payload = work.body.rebuild(work.route.upstream_name, work.open.admitted.output, salt)
    del work.body
    tried: list[str] = []
    while True:
        replica = door.routing.choose(work.route, tried, beginning)
        if replica is None:
            raise errors.overloaded()
        tried.append(replica.url)
        scanner = work.endpoint.scanner(wanted, work.ask.n) if work.ask.streamed else None
        reply = Reply(work.exchange, work.head, scanner, door.limits)
        outcome = await _attempt(replica, reply, work)
        if reply.stale and _unanswered(reply, outcome):
            # The replica had closed the connection while it was idle, which says nothing of the replica.
            replica.pool.close()
            tried.pop()
            continue
        last = len(tried) == ATTEMPTS or len(tried) == len(work.route.replicas)
        if last or not _may_retry(reply, outcome):
            return reply, outcome, replica


async def _attempt(replica: Replica, reply: Reply, work: Work) -> Outcome:
    request = work.open
    replica.outstanding += 1
    try:
        connection = await replica.pool.acquire()
        if work.exchange.gone:
            replica.pool.rest(connection)
            return Outcome.CLIENT_ABORTED
        request.meter = reply
        path, content_type = work.endpoint.path, work.endpoint.content_type
        message = replica.pool.message(path, content_type, request.request_id, work.payload)
        ended = reply.through(connection, message, work.let_go)
        del message
        outcome = await ended
    except (OSError, TimeoutError):
        outcome = Outcome.UPSTREAM_FAILED
    finally:
        replica.outstanding -= 1
    if reply.stale and _unanswered(reply, outcome):
        return outcome
    if _ailing(reply, outcome):
        replica.failed()
    elif outcome is Outcome.COMPLETED:
        replica.succeeded()
    return outcome


def _ailing(reply: Reply, outcome: Outcome) -> bool:
    """Whether an attempt speaks against its replica: it broke, failed, refused for want of room, or never began."""
    silent = outcome is Outcome.UPSTREAM_TIMEOUT and reply.first_at is None
    fault = reply.status in errors.ENGINE_OVERLOADED or reply.status >= _FAULT
    return silent or fault or outcome is Outcome.UPSTREAM_FAILED


def _unanswered(reply: Reply, outcome: Outcome) -> bool:
    return outcome is Outcome.UPSTREAM_FAILED and reply.status == 0


def _may_retry(reply: Reply, outcome: Outcome) -> bool:
    return _unanswered(reply, outcome) or (outcome is Outcome.COMPLETED and reply.status in errors.ENGINE_OVERLOADED)


def _answer(work: Work, reply: Reply, outcome: Outcome) -> None:
    """The end of the answer, now that the request is settled."""
    exchange = work.exchange
    exchange.watcher = None
    if outcome is Outcome.CLIENT_ABORTED:
        exchange.close()
    elif reply.begun or reply.tail:
        failure = _FAILURES.get(outcome)
        reply.finish_stream(work.endpoint.failure(failure(), reply.scanner) if failure else b"")
    elif outcome is Outcome.COMPLETED:
        exchange.answer(_OK, reply.body, work.head)
    else:
        exchange.refuse(_failure(work, reply, outcome), work.head)


def _failure(work: Work, reply: Reply, outcome: Outcome) -> ApiError:
    if reply.status not in {0, _OK}:
        return errors.translate(
            reply.status, reply.body, (work.route.upstream_name, work.route.name), work.endpoint.prompt
        )
    if outcome is Outcome.UPSTREAM_FAILED and not reply.sent:
        return errors.overloaded()
    return _FAILURES[outcome]()


def _settle(door: Door, work: Work, reply: Reply | None, ending: tuple[Outcome, str]) -> None:
    outcome, replica = ending
    tokens, estimated = _tokens(work, reply, outcome)
    admitted, started, now = work.open.admitted, work.exchange.started_at, monotonic()
    facts = Facts(
        organisation=admitted.org,
        user=admitted.user,
        key=admitted.key,
        model=work.route.name,
        model_id=work.route.model_id,
        endpoint=work.endpoint.name,
        started_at=int((time() - (now - started)) * 1e6) / 1e6,
        streamed=work.ask.streamed,
        gateway=door.settings.gateway_name,
        replica=replica,
        status=reply.status if reply else 0,
        duration_ms=milliseconds(now - started),
        first_token_ms=milliseconds(reply.first_at - started) if reply and reply.first_at is not None else None,
    )
    door.ledger.settle(work.open, tokens, (outcome, estimated), facts)
    door.timed(facts)


def _tokens(work: Work, reply: Reply | None, outcome: Outcome) -> tuple[tuple[int, int, int], bool]:
    """What to charge, and whether it is estimated since the engine served tokens but reported none."""
    if reply is None or reply.status != _OK:
        return (0, 0, 0), False
    scanner = reply.scanner
    if scanner is not None:
        if scanner.tokens is not None or scanner.error is not None or scanner.events == 0:
            return scanner.tokens or (0, 0, 0), False
        return (work.ask.prompt // BYTES_PER_TOKEN, scanner.events - int(scanner.done), 0), True
    if outcome is not Outcome.COMPLETED:
        return (0, 0, 0), False
    tokens = work.endpoint.reported(reply.body)
    if tokens is None:
        return (work.ask.prompt // BYTES_PER_TOKEN, len(reply.body) // BYTES_PER_TOKEN, 0), True
    return tokens, False
