"""A question to a replica that is no request of a client: its whole answer, collected."""

import asyncio

from ias_gateway.upstream import Connection, Pool

MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Unanswered(Exception):
    """A replica did not answer a question; the text says why."""


async def answer_to(pool: Pool, question: bytes) -> tuple[int, bytes]:
    """The status and body of the answer, in a task: what has a time limit needs one.

    Raises:
        Unanswered: the connection broke.
        OSError: the replica does not take connections.
    """
    while True:
        connection = pool.idle() or await pool.open()
        answer = _Answer(connection)
        stale = connection.reused
        try:
            connection.send(answer, question)
            return await answer.done
        except Unanswered:
            if not stale or answer.status:
                raise
            # The replica had closed the connection while it was idle, which says nothing of the replica.
        finally:
            answer.leave()


class _Answer:
    """Collects an answer: its status and body."""

    def __init__(self, connection: Connection) -> None:
        self.done: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.status = 0
        self._connection = connection
        self._body = bytearray()

    def head(self, status: int, *, alone: bool) -> None:  # noqa: ARG002 - the body is collected
        self.status = status

    def data(self, data: bytes, *, last: bool) -> None:  # noqa: ARG002 - `end` follows
        self._body += data
        if len(self._body) > MAX_ANSWER_BYTES:
            self._connection.abandon()
            self.failed("it answers without end")

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result((self.status, bytes(self._body)))

    def failed(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(Unanswered(reason))

    def leave(self) -> None:
        """Wait no longer."""
        if not self.done.done() or self.done.cancelled():
            self._connection.abandon()
