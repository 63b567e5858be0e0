"""Dispatch: to a replica; to a second one where the first broke before its first byte or answered 503."""

from typing import Final

from ias.contract.admission import Admitted
from ias.contract.usage import Outcome
from ias_gateway import errors
from ias_gateway.bodies.strict import BadBody
from ias_gateway.door import Door
from ias_gateway.reply import Reply
from ias_gateway.routing import Replica
from ias_gateway.served import Served
from ias_gateway.upstream import Connection
from ias_gateway.work import Work

ATTEMPTS = 2
# An enumeration's member costs as much as all else of a short function.
_COMPLETED: Final = Outcome.COMPLETED
_ABORTED: Final = Outcome.CLIENT_ABORTED
_BROKE: Final = Outcome.UPSTREAM_FAILED
_LATE: Final = Outcome.UPSTREAM_TIMEOUT
_OK: Final = 200
_FAULT = 500


class Attempt:
    """A request at a replica."""

    __slots__ = ("replica", "reply")

    def __init__(self, replica: Replica, reply: Reply) -> None:
        self.replica = replica
        self.reply = reply


async def dispatch(door: Door, work: Work, first: Attempt | None) -> tuple[Reply, Outcome, Replica]:
    """How an admitted request ended, whose `first` attempt may be under way.

    Raises:
        BadBody: it could be read, but not be written anew.
        ApiError: no replica may be used.
    """
    if first is None:
        _prepare(door, work, work.open.admitted)
    del work.body
    tried: list[str] = []
    while True:
        attempt, first = first or _choose(door, work, tried), None
        replica, reply = attempt.replica, attempt.reply
        tried.append(replica.url)
        try:
            if not reply.sent:
                _send(replica.pool.idle() or await replica.pool.open(), replica, reply, work)
            outcome = await reply.done
        except (OSError, TimeoutError):
            outcome = _BROKE
        finally:
            replica.outstanding -= 1
        if reply.stale and _unanswered(reply, outcome):
            # The replica had closed the connection while it was idle, which says nothing of the replica.
            replica.pool.close()
            tried.pop()
            continue
        _judge(replica, reply, outcome)
        if len(tried) >= min(ATTEMPTS, len(work.route.replicas)) or not _may_retry(reply, outcome):
            return reply, outcome, replica


def begin(door: Door, work: Work, how: tuple[Served, str, int], request_id: str) -> Attempt | None:
    """Send a request that may not be let in; None where that would not be done at once.

    `how` are its route, the organisation's id and the output limit. Raises BadBody as `dispatch`.
    """
    route, org, output = how
    _look_at(work, route, org)
    replica = door.routing.choose(route, (), work.beginning)
    connection = replica.pool.idle() if replica is not None else None
    if replica is None or connection is None:
        return None
    try:
        _write_anew(door, work, route, (org, output))
    except BadBody:
        replica.pool.rest(connection)
        raise
    attempt = _attempt(door, work, replica, None)
    attempt.reply.through(connection, _message(replica, work, request_id), work.let_go)
    return attempt


def _prepare(door: Door, work: Work, admitted: Admitted) -> None:
    _look_at(work, work.route, admitted.org)
    _write_anew(door, work, work.route, (admitted.org, admitted.output))


def _look_at(work: Work, route: Served, org: str) -> None:
    """See how the prompt begins, where a replica is chosen by that."""
    work.beginning = org.encode() + work.body.beginning() if len(route.replicas) > 1 else b""


def _write_anew(door: Door, work: Work, route: Served, allowed: tuple[str, int]) -> None:
    """Write the body for the engine. `allowed` are the organisation's id and the output limit."""
    org, output = allowed
    salt = door.salt_of(org) if route.tenant_salt else None
    work.payload = work.body.rebuild(route.upstream_name, output, salt)


def _choose(door: Door, work: Work, tried: list[str]) -> Attempt:
    replica = door.routing.choose(work.route, tried, work.beginning)
    if replica is None:
        raise errors.overloaded()
    return _attempt(door, work, replica, work.head)


def _attempt(door: Door, work: Work, replica: Replica, head: bytes | None) -> Attempt:
    scanner = work.endpoint.scanner(work.wanted, work.ask.n, work.ask.prompts) if work.ask.streamed else None
    replica.outstanding += 1
    return Attempt(replica, Reply(work.exchange, head, scanner, door.limits))


def _send(connection: Connection, replica: Replica, reply: Reply, work: Work) -> None:
    """Send the request; where its client has gone meanwhile, nothing."""
    if work.exchange.gone:
        replica.pool.rest(connection)
        reply.done.resolve(_ABORTED)
        return
    work.open.meter = reply
    reply.through(connection, _message(replica, work, work.open.request_id), work.let_go)


def _message(replica: Replica, work: Work, request_id: str) -> bytes:
    endpoint = work.endpoint
    return replica.pool.message(endpoint.path, endpoint.content_type, request_id, work.payload)


def _judge(replica: Replica, reply: Reply, outcome: Outcome) -> None:
    """What an attempt says of its replica. Against it: that it broke, failed, refused for want of room, never began."""
    if outcome is _COMPLETED and reply.status == _OK:
        replica.succeeded()
        return
    silent = outcome is _LATE and reply.first_at is None
    fault = reply.status in errors.ENGINE_OVERLOADED or reply.status >= _FAULT
    if silent or fault or outcome is _BROKE:
        replica.failed()
    elif outcome is _COMPLETED:
        replica.succeeded()


def _unanswered(reply: Reply, outcome: Outcome) -> bool:
    return outcome is _BROKE and reply.status == 0


def _may_retry(reply: Reply, outcome: Outcome) -> bool:
    return _unanswered(reply, outcome) or (outcome is _COMPLETED and reply.status in errors.ENGINE_OVERLOADED)
