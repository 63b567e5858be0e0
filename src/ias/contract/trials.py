"""A trial of a model: the management API asks, one gateway tries every replica as it would for a client, and tells.

Only gateways reach engines, so the question goes through Redis: into one place, where every gateway looks each second.
Whoever claims it first answers. There is one question at a time, and it expires.
"""

import msgspec

from ias.contract.admission import Command
from ias.contract.beats import PREFIX
from ias.contract.catalogue import ModelRoute

WITHIN_S = 8.0
"""What a gateway takes at most."""
ASKED_S = 12
"""How long a question stands, and who asked waits for the answer."""
_ANSWERED_S = 60
_PLACE = f"{PREFIX}asked"


class Trial(msgspec.Struct, frozen=True):
    """The question: try this route. `id` is a UUID."""

    id: str
    route: ModelRoute


class Tried(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request to a replica: its status and how long the answer took, or why there was none.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        ms: milliseconds to the end of the answer.
        why: what went wrong, a few words; never anything of the answer's body.
    """

    status: int = 0
    ms: float = 0.0
    why: str = ""

    @property
    def well(self) -> bool:
        """Whether it answered, and with 200."""
        return self.status == 200  # noqa: PLR2004 - OK


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """The smallest request that the model takes.

    Attributes:
        path: where it was answered, or last refused.
        request_id: whether the answer's `x-request-id` was ours.
        usage: whether it told usage.
        details: whether it told how much of the prompt had been cached.
    """

    path: str
    tried: Tried
    request_id: bool = False
    usage: bool = False
    details: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Replica(msgspec.Struct, frozen=True):
    """What a replica did. `served` maps the names that it lists to their context length, 0 where that is not told."""

    url: str
    health: Tried
    models: Tried
    served: dict[str, int]
    call: Call


class Told(msgspec.Struct, frozen=True):
    """The answer: who tried, and what each replica did."""

    gateway: str
    replicas: list[Replica]


LOOK: Command = ("GET", _PLACE)

_encode = msgspec.json.Encoder().encode
_decode_trial = msgspec.json.Decoder(Trial).decode
_decode_told = msgspec.json.Decoder(Told).decode


def ask(trial: Trial) -> Command:
    """Put the question where gateways look; answered with nothing where another one is there."""
    return ("SET", _PLACE, _encode(trial), "NX", "EX", ASKED_S)


def withdraw() -> Command:
    """Make room for the next question."""
    return ("DEL", _PLACE)


def claim(trial_id: str, gateway: str) -> Command:
    """Take the question; answered with nothing where another gateway has."""
    return ("SET", f"{PREFIX}claimed:{trial_id}", gateway, "NX", "EX", _ANSWERED_S)


def tell(trial_id: str, told: Told) -> Command:
    """Answer it."""
    return ("SET", f"{PREFIX}told:{trial_id}", _encode(told), "EX", _ANSWERED_S)


def listen(trial_id: str) -> Command:
    """The answer, nothing as long as there is none."""
    return ("GET", f"{PREFIX}told:{trial_id}")


def read_trial(found: object) -> Trial | None:
    """The question that was found, None where there is none or it is of another release."""
    try:
        return _decode_trial(found) if isinstance(found, bytes) else None
    except msgspec.MsgspecError:
        return None


def read_told(found: object) -> Told | None:
    """The answer that was found, None as long as there is none."""
    return _decode_told(found) if isinstance(found, bytes) else None
