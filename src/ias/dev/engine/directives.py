"""What an engine is told to do: its settings, which a directive in the last message changes for one request.

`[[mock tokens=50 delay_ms=20 first_ms=100]]` anywhere in the last user message (or prompt). Names and meanings are
those of `Behaviour`; a name alone means true. The gateway forwards no client header, so the text is the only way.
"""

import re

import msgspec

_DIRECTIVE = re.compile(r"\[\[mock ([^\]]*)\]\]")


class BadDirective(Exception):
    """The directive cannot be understood."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request is answered.

    Attributes:
        tokens: tokens of an answer; fewer where `max_tokens` says so.
        first_ms: wait before the first byte.
        delay_ms: wait between tokens; 0 writes all of them at once.
        status: answer with this status instead.
        die_after: reset the connection after so many tokens.
        hang_after: say nothing more after so many tokens, and keep the connection.
        error_chunk_after: put an error into the stream after so many tokens, then `[DONE]`.
        no_usage: report no usage.
        zero_usage: report zeros.
        usage_decreases: running usage counts down.
    """

    tokens: int = 16
    first_ms: float = 0
    delay_ms: float = 0
    status: int = 200
    die_after: int | None = None
    hang_after: int | None = None
    error_chunk_after: int | None = None
    no_usage: bool = False
    zero_usage: bool = False
    usage_decreases: bool = False


def behaviour(text: str, usual: Behaviour) -> Behaviour:
    """The settings, with what a directive in the text changes.

    Raises:
        BadDirective: it names something unknown, or a bad value.
    """
    found = _DIRECTIVE.search(text)
    if found is None:
        return usual
    changes = {name: value or "true" for name, _, value in (word.partition("=") for word in found[1].split())}
    try:
        return msgspec.convert(msgspec.structs.asdict(usual) | changes, Behaviour, strict=False)
    except msgspec.ValidationError as error:
        raise BadDirective(f"[[mock …]]: {error}") from None
