"""The ranges of what chat and text completions share, and how their streams are metered."""

from typing import Final

from ias_gateway.bodies.sampling import RUNNING, Sampling
from ias_gateway.bodies.strict import BadBody, within

MAX_N: Final = 128
MAX_OUTPUT: Final = 2**31 - 1
"""More than any engine's context; the Function library counts in doubles, and estimates must stay exact."""
_running: Final = RUNNING


def check(body: Sampling) -> None:
    """Refuse what is out of range.

    Raises:
        BadBody: it names the field.
    """
    tokens, n = body.max_tokens, body.n
    if tokens is not None:
        within("max_tokens", tokens, MAX_OUTPUT)
    if n is not None:
        within("n", n, MAX_N)
    if body.stream_options is not None and not body.stream:
        raise BadBody("stream_options: only allowed when stream is true.", "stream_options")


def wants_usage(body: Sampling) -> tuple[bool, bool]:
    """Whether the client of a stream asked for usage at its end, and for running usage."""
    options = body.stream_options
    if options is None or not options.include_usage:
        return False, False
    return True, bool(options.continuous_usage_stats)


def meter(body: Sampling) -> None:
    """Ask the engine for running usage on a stream, whatever the client asked for."""
    if body.stream:
        body.stream_options = _running
