"""What the two calls of each request tell the Function library, and what it answers to the first of them.

They tell it in one MessagePack array: of a dozen arguments, each would be measured and written by itself. The functions
that take it have names of their own: a library without them must not read it as the first of those arguments.
"""

from typing import Final, cast

import msgspec

from ias.contract.admitted import NEAR_A_LIMIT, Admitted
from ias.contract.answers import NO_RATE, Rate, Refused, Reply, read_refusal, text
from ias.contract.asks import COUNTED, Ask

_USUAL: Final = 8
"""The answer to `reserve` is no longer where no rate is limited, the whole prompt is held, and some limit is near."""
_RISK: Final = 14
_USUAL_BEHIND: Final = 15
_ENTRY: Final = 2

_pack: Final = msgspec.msgpack.Encoder().encode


def reservation(fingerprint: str, request_id: str, ask: Ask, holder: tuple[str, int]) -> bytes:
    """What `reserve` is told. `holder` is the gateway's name and the lease in seconds."""
    return _pack(
        (
            fingerprint,
            request_id,
            ask.model,
            ask.prompt,
            ask.n,
            ask.output,
            holder[1],
            holder[0],
            ask.endpoint,
            "1" if ask.streamed else "0",
            ask.images,
            ask.guess if ask.guess >= 0 else "c" if ask.guess == COUNTED else "",
            ask.prompts,
            1,  # this release understands the usual output limit in the answer
        )
    )


def settlement(request_id: str, tokens: tuple[int, int, int], ending: tuple[str, bool]) -> bytes:
    """What `settle` is told, less the facts: prompt, completion, cached tokens; outcome, whether they are estimated."""
    # Each by itself: of a tuple put into another one compiled code makes a list first.
    return _pack((request_id, tokens[0], tokens[1], tokens[2], ending[0], "1" if ending[1] else "0"))


def read_reserve(reply: Reply) -> Admitted | Refused:
    """What `reserve` answered; `Near` only where there was a guess."""
    if reply[0] != b"ok":
        return read_refusal(reply)
    texts, numbers = cast("list[bytes]", reply), cast("list[int]", reply)
    length = len(reply)
    limited = length > _USUAL + 1
    at = _USUAL_BEHIND if limited else _USUAL
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
        numbers[_RISK] if length > _RISK else 0,
        numbers[at] if length > at else NEAR_A_LIMIT,
    )


def entry_of(reply: Reply) -> str:
    """The entry of the outbox that `settle` made, or that was there already; empty where it is not known."""
    if len(reply) <= _ENTRY:
        return ""
    entry = reply[_ENTRY]
    return entry.decode() if isinstance(entry, bytes) else text(entry)
