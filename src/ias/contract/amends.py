"""Two truths of one request's first line: what a sweeper knew of a gateway's last checkpoint, and the gateway's own.

Redis tells them apart by the tombstone of the first one, and makes an adjustment of the second. Where it has lost the
tombstone both come as line 1, and whoever keeps lines makes the adjustment: line 1 stays, a further line is the
difference. The gateway's own is the whole truth, a sweeper's a lower bound.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from ias.contract.usage import UsageRecorded

Tokens = tuple[int, int, int]
"""Prompt, completion and cached."""


class Known(msgspec.Struct, frozen=True):
    """The lines of a request so far: the last one's number, the sum of all, and whether line 1 is a lower bound."""

    line: int
    tokens: Tokens
    lower_bound: bool

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Known":
        """Out of a row: line, prompt, completion, cached, lower_bound."""
        fields = {"line": row["line"], "tokens": (row["prompt"], row["completion"], row["cached"])}
        return msgspec.convert({**fields, "lower_bound": row["lower_bound"]}, cls)

    def after(self, line: UsageRecorded) -> "Known":
        """The same with a further line."""
        prompt, completion, cached = self.tokens
        sums = prompt + line.prompt_tokens, completion + line.completion_tokens, cached + line.cached_tokens
        return Known(line.line, sums, self.lower_bound)


def is_amendable(event: UsageRecorded, known: Known | None) -> bool:
    """Whether a second line 1 is no contradiction: one of the two is a lower bound."""
    return known is not None and event.line == 1 and (event.lower_bound or known.lower_bound)


def adjustment(event: UsageRecorded, known: Known) -> UsageRecorded | None:
    """The line that a second line 1 comes to; None where it adds nothing. The same event comes to nothing again."""
    more = tuple(
        told - have
        for told, have in zip(
            (event.prompt_tokens, event.completion_tokens, event.cached_tokens), known.tokens, strict=True
        )
    )
    if event.lower_bound:
        more = tuple(max(0, tokens) for tokens in more) if known.lower_bound else (0, 0, 0)
    if not any(more):
        return None
    prompt, completion, cached = more
    return msgspec.structs.replace(
        event, line=known.line + 1, prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached
    )


def amends(
    events: Sequence[UsageRecorded], known: dict[UUID, Known]
) -> tuple[list[UsageRecorded], list[UsageRecorded]]:
    """Lines to be added for events that contradict what is kept, and those that remain contradictions.

    `known` is what is kept of their requests; it takes in the lines that are made.
    """
    lines, contradicting = [], []
    for event in events:
        so_far = known.get(event.request_id)
        if so_far is None or not is_amendable(event, so_far):
            contradicting.append(event)
        elif (line := adjustment(event, so_far)) is not None:
            lines.append(line)
            known[event.request_id] = so_far.after(line)
    return lines, contradicting
