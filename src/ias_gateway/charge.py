"""What a request is charged, by what its engine reported."""

from typing import Final

from ias.contract.usage import Outcome
from ias_gateway.reply import Reply
from ias_gateway.scanner import Tokens
from ias_gateway.work import Work

BYTES_PER_TOKEN: Final = 4
"""For requests of which the engine reported nothing; such lines are marked as estimated."""
_COMPLETED: Final = Outcome.COMPLETED
_OK: Final = 200


def charge(work: Work, reply: Reply | None, outcome: Outcome) -> tuple[Tokens, bool]:
    """What to charge, and whether it is estimated since the engine served tokens but reported none."""
    if reply is None or reply.status != _OK:
        return (0, 0, 0), False
    scanner = reply.scanner
    if scanner is not None:
        if scanner.tokens is not None or scanner.error is not None or scanner.events == 0:
            return scanner.tokens or (0, 0, 0), False
        return (work.ask.prompt // BYTES_PER_TOKEN, scanner.events - int(scanner.done), 0), True
    if outcome is not _COMPLETED:
        return (0, 0, 0), False
    tokens = work.endpoint.reported(reply.body)
    if tokens is None:
        return (work.ask.prompt // BYTES_PER_TOKEN, len(reply.body) // BYTES_PER_TOKEN, 0), True
    return tokens, False
