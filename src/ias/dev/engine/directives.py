"""How the engine behaves, and the directive in a message that changes it for one request.

`[[mock tokens=50 delay_ms=20 die_after=5]]` anywhere in the last user message, in a prompt (a transcription's too), in
the last input of an embedding, or in a query to rank by. Names and meanings are those of `Behaviour`; a name alone
means true. It counts as text like any other. There is no header for this, since the gateway forwards none.
"""

import re

import msgspec

_DIRECTIVE = re.compile(r"\[\[mock ([^\]]*)\]\]")


class BadDirective(Exception):
    """The directive names something unknown, or gives a bad value."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request is answered. "After so many tokens" counts those of each choice.

    Attributes:
        tokens: tokens of an answer, its end mark included; `max_tokens` cuts it shorter, `ignore_eos` makes it longer.
        first_ms: wait before the first byte, a stream's head included.
        prefill_ms: wait between a stream's head and its first token, as a real engine that is busy with the prompt.
        delay_ms: wait between tokens; 0 writes all of them at once.
        reasoning: tokens of reasoning before the answer, in a chat or a response; a model that reasons has 8.
        tool: call the first tool, if the request has tools.
        tools: make so many calls, of one tool after the other, if the request has tools.
        status: answer with this status and an error instead.
        die_after: reset the connection after so many tokens.
        hang_after: fall silent after so many tokens, and keep the connection open.
        error_chunk_after: put an error into the stream after so many tokens, then `[DONE]`; 500 without a stream.
        no_usage: report no usage.
        zero_usage: report zeros.
        usage_decreases: running usage rises to the middle of the answer and falls from there, the final one with it.
        cached: report so many cached tokens.
    """

    tokens: int = 16
    first_ms: float = 0
    prefill_ms: float = 0
    delay_ms: float = 0
    reasoning: int = 0
    tool: bool = False
    tools: int = 0
    status: int = 200
    die_after: int | None = None
    hang_after: int | None = None
    error_chunk_after: int | None = None
    no_usage: bool = False
    zero_usage: bool = False
    usage_decreases: bool = False
    cached: int | None = None

    @property
    def honest(self) -> bool:
        """Whether usage is reported as it is."""
        return not (self.no_usage or self.zero_usage or self.usage_decreases)

    @property
    def fault_after(self) -> int | None:
        """After how many tokens something goes wrong, if it does."""
        places = [at for at in (self.die_after, self.hang_after, self.error_chunk_after) if at is not None]
        return min(places, default=None)


class Settings(Behaviour, frozen=True, kw_only=True):
    """How all requests are answered that do not say otherwise, and what concerns no single one.

    Attributes:
        refuse_connections: take no new connection, and close the idle ones.
        cache_block: tokens of a block of the prefix cache.
        cache_blocks: blocks that the prefix cache holds.
        image_tokens: prompt tokens of an image.
    """

    refuse_connections: bool = False
    cache_block: int = 16
    cache_blocks: int = 65_536
    image_tokens: int = 256


def behaviour(text: str, usual: Behaviour) -> Behaviour:
    """The usual behaviour, with what a directive in the text changes.

    Raises:
        BadDirective: it names something unknown, or gives a bad value.
    """
    if "[[mock " not in text or (found := _DIRECTIVE.search(text)) is None:
        return usual
    changes = {name: value or "true" for name, _, value in (word.partition("=") for word in found[1].split())}
    known = {name: getattr(usual, name) for name in Behaviour.__struct_fields__}
    try:
        return msgspec.convert(known | changes, Behaviour, strict=False)
    except msgspec.ValidationError as error:
        raise BadDirective(f"[[mock …]]: {error}") from None
