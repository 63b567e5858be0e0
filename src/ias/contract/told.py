"""What the two calls of each request tell the Function library, and what it answers to the first of them.

They tell it in one MessagePack array: of a dozen arguments, each would be measured and written by itself. The functions
that take it have names of their own: a library without them must not read it as the first of those arguments.
"""

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from ias.contract.answers import NO_RATE, Admitted, Rate, Refused, Reply, read_refusal
from ias.contract.asks import Ask

_UNLIMITED: Final = 8
"""How long the answer to `reserve` is where no rate is limited, and the whole prompt is held."""
_RISK: Final = 14

_pack: Final = msgspec.msgpack.Encoder().encode


def reservation(fingerprint: str, request_id: str, ask: Ask, holder: tuple[str, int]) -> bytes:
    """What `reserve` is told. `holder` is the gateway's name and the lease in seconds."""
    gateway, lease = holder
    return _pack(
        (
            fingerprint,
            request_id,
            ask.model,
            ask.prompt,
            ask.n,
            ask.output,
            lease,
            gateway,
            ask.endpoint,
            "1" if ask.streamed else "0",
            ask.images,
            "" if ask.guess < 0 else ask.guess,
            ask.prompts,
        )
    )


def settlement(request_id: str, tokens: tuple[int, int, int], ending: tuple[str, bool]) -> bytes:
    """What `settle` is told, less the facts: prompt, completion, cached tokens; outcome, whether they are estimated."""
    outcome, estimated = ending
    return _pack((request_id, *tokens, outcome, "1" if estimated else "0"))


def read_reserve(reply: Reply) -> Admitted | Refused:
    """What `reserve` answered; `Near` only where there was a guess."""
    if reply[0] != b"ok":
        return read_refusal(reply)
    texts, numbers = cast("Sequence[bytes]", reply), cast("Sequence[int]", reply)
    limited = len(reply) > _UNLIMITED
    return Admitted(
        texts[1].decode(),
        texts[2].decode(),
        texts[3].decode(),
        texts[4],
        texts[5].decode(),
        numbers[6],
        numbers[7],
        Rate(*numbers[8:11]) if limited else NO_RATE,
        Rate(*numbers[11:14]) if limited else NO_RATE,
        numbers[_RISK] if len(reply) > _RISK else 0,
    )
