"""What engines count themselves: workers say which replicas are to be read, one gateway reads them, workers fetch that.

Only gateways reach engines, so it goes through Redis, under the tag of `beats`. The counters are vLLM's, which begin
anew with the engine's process.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, cast

import msgspec
from msgspec import Meta

from ias.contract.admission import Command
from ias.contract.beats import PREFIX

EVERY_S = 10
"""Between two readings of a replica, by whichever gateway comes first."""
WANTED_S = 120
"""So long replicas are read after a worker last asked for it."""
MOST: Final = 2**53 - 1
"""Of tokens or requests: what the double of a counter can tell from the next."""
_LATEST: Final = 253_370_764_800.0
"""The beginning of the year 9999, which is a time everywhere."""
_Seconds = Annotated[float, Meta(ge=0, le=_LATEST)]
_Count = Annotated[int, Meta(ge=0, le=MOST)]
_WANTED = f"{PREFIX}wanted"
_READ = f"{PREFIX}read"
_TURN = f"{PREFIX}turn"


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """The counters of one replica, of all its engine cores and names together, at one moment.

    Attributes:
        url: its base URL, as the catalogue has it.
        at: when, Unix seconds by the gateway's clock.
        started_at: when its process began, Unix seconds by its own clock; 0 where it does not tell.
        prompt_tokens: `vllm:prompt_tokens_total`.
        generation_tokens: `vllm:generation_tokens_total`.
        requests: `vllm:request_success_total`: requests that ended, aborted ones too.
    """

    url: str
    at: _Seconds
    started_at: _Seconds = 0.0
    prompt_tokens: _Count = 0
    generation_tokens: _Count = 0
    requests: _Count = 0


WANTED: Command = ("GET", _WANTED)
READINGS: Command = ("HGETALL", _READ)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reading).decode
_decode_urls = msgspec.json.Decoder(list[str]).decode


def want(urls: Sequence[str]) -> Command:
    """Have these replicas read from now on."""
    return ("SET", _WANTED, _encode(list(urls)), "EX", WANTED_S)


def take_turn(gateway: str) -> Command:
    """Be the one who reads this time; answered with nothing where another gateway does."""
    return ("SET", _TURN, gateway, "NX", "EX", EVERY_S - 1)


def tell(readings: Sequence[Reading]) -> Command:
    """What was read; what was read of the same replica before is replaced."""
    pairs: list[str | bytes] = []
    for reading in readings:
        pairs += (reading.url, _encode(reading))
    return ("HSET", _READ, *pairs)


def forget(urls: Sequence[str]) -> Command:
    """Drop what was read of these."""
    return ("HDEL", _READ, *urls)


def read_wanted(found: object) -> list[str]:
    """The replicas that are to be read; none where nobody asks, or another release does in its own way."""
    try:
        return _decode_urls(found) if isinstance(found, bytes) else []
    except msgspec.MsgspecError:
        return []


def read_readings(reply: object) -> list[Reading]:
    """What was read last of each; what this release cannot read, or no engine can have counted, is left out."""
    found = []
    for value in _values(reply):
        try:
            found.append(_decode(value))
        except msgspec.MsgspecError:
            continue
    return sorted(found, key=lambda each: each.url)


def _values(reply: object) -> list[bytes]:
    """The values of a hash: clients give it as a map, or flat."""
    if isinstance(reply, Mapping):
        return list(cast("Mapping[bytes, bytes]", reply).values())
    return cast("list[bytes]", reply)[1::2]
