"""What is told of a model beside itself: who may call it and who does, and how gateways saw its replicas."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """An organisation whose list of models has this one."""

    id: UUID
    name: str


class Callers(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call a model, and who does.

    Attributes:
        unlisted: how many organisations may call it because they may call every model.
        listed: those whose list has it, by name.
        since: from when on the figures below are.
        organisations: how many called it.
        keys: with how many keys.
        requests: how often, refusals not counted.
    """

    model_id: UUID
    name: str
    unlisted: int
    listed: list[Caller]
    since: datetime
    organisations: int
    keys: int
    requests: int


class Seen(StrEnum):
    """Whether a replica answered when it was last to be read."""

    ANSWERS = "answers"
    SILENT = "silent"
    NEVER_READ = "never-read"


class ReplicaSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A replica as a gateway saw it; its counters are those of its process, which begin anew with it.

    Attributes:
        read_at: when it last answered; null where it never did.
        started_at: when its process began; null where it does not tell.
        requests: that ended, aborted ones too.
    """

    url: str
    seen: Seen
    read_at: datetime | None
    started_at: datetime | None
    requests: int
    prompt_tokens: int
    generation_tokens: int


class ReplicasSeen(msgspec.Struct, frozen=True):
    """The replicas of a model, in the model's order."""

    items: list[ReplicaSeen]
