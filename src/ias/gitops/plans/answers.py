"""A plan as it is asked for and answered, and as text and Markdown for people."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from ias.gitops.documents.faults import Fault
from ias.gitops.plans.checks import Blocked
from ias.gitops.plans.domain import Change

_MEANS: Final = frozenset("\\`|<>[]*_@#&!~:")
_HOST: Final = re.compile(r"(?i)\bwww\.")
_INSTEAD: Final = {"`": "'", "|": "\u00a6", "\\": "/"}
_Text = Annotated[str, Meta(max_length=300_000)]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A policy file, as text. `org_id` is one's own organisation where it is left out."""

    document: _Text
    org_id: UUID | None = None


class AskedReplay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The same, and how many days to look back."""

    document: _Text
    org_id: UUID | None = None
    days: Annotated[int, Meta(ge=1, le=62)] = 30


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy would change of an organisation now, whom that blocks, and what stands against it.

    Attributes:
        faults: why it could not be put into force at all.
        held_for: why it would wait for a system admin.
    """

    org_id: UUID
    organisation: str
    as_of: datetime
    faults: list[Fault]
    changes: list[Change]
    blocked: list[Blocked]
    held_for: list[str]


def text(proposal: Proposal, file: str) -> Iterator[str]:
    """Lines for a terminal."""
    for fault in proposal.faults:
        yield fault.said(file)
    for change in proposal.changes:
        yield f"{_sign(change)} {change.field}: {said(change.before)} -> {said(change.after)}"
    for each in proposal.blocked:
        yield f"! blocks {each.who}: {each.why}"
    for reason in proposal.held_for:
        yield f"! waits for a system admin: {reason}"
    if not proposal.faults and not proposal.changes:
        yield "nothing changes"


def markdown(proposal: Proposal, file: str) -> Iterator[str]:
    """Lines for the comment of a pull request. Nothing of the file can break out of its cell."""
    yield f"### Plan for {_code(proposal.organisation)}"
    yield ""
    if proposal.faults:
        yield from markdown_of_faults(proposal.faults, file)
        return
    if not proposal.changes:
        yield "Nothing changes."
        return
    yield from ("| field | now | then |", "| --- | --- | --- |")
    for change in proposal.changes:
        yield f"| {_code(change.field)} | {_cell(said(change.before))} | {_cell(said(change.after))} |"
    yield from _warnings(proposal)


def markdown_of_faults(faults: Sequence[Fault], file: str) -> Iterator[str]:
    """The same of a file alone, whose organisation may not be known."""
    yield f"**This policy cannot be put into force**: {len(faults)} faults."
    yield from ("", "| where | what to do |", "| --- | --- |")
    for fault in faults:
        yield f"| {_code(f'{file}:{fault.line}:{fault.column}')} | {_cell(f'{fault.path}: {fault.detail}')} |"


def _warnings(proposal: Proposal) -> Iterator[str]:
    yield ""
    if proposal.blocked:
        yield from (f"**Blocks now** (as of {proposal.as_of:%Y-%m-%d %H:%M} UTC):", "")
        yield from (f"- **{_cell(each.who)}**: {_cell(each.why)}" for each in proposal.blocked)
    else:
        yield "Blocks nobody now."
    if proposal.held_for:
        yield from ("", "**Waits for a system admin**, since:", "")
        yield from (f"- {_cell(reason)}" for reason in proposal.held_for)


def said(value: object) -> str:
    """A value for people."""
    match value:
        case None:
            shown = "none"
        case int():
            shown = f"{value:,}"
        case list() | tuple():
            shown = ", ".join(map(said, value))
        case dict():
            shown = ", ".join(f"{name}: {said(each)}" for name, each in value.items())
        case _:
            shown = str(value)
    return shown or "(empty)"


def _sign(change: Change) -> str:
    people = change.field.endswith("]")
    if people and change.before is None:
        return "+"
    return "-" if people and change.after is None else "~"


def _cell(value: str) -> str:
    """Text that is nothing else in Markdown: neither a link, nor a mention, nor a tag."""
    plain = "".join(f"&#{ord(char)};" if char in _MEANS else char if char.isprintable() else " " for char in value)
    return _HOST.sub(lambda found: f"{found[0][:-1]}&#46;", plain)


def _code(value: str) -> str:
    """The same as code, in which nothing means anything but its end, and that of a cell."""
    return f"`{''.join(_INSTEAD.get(char, char) if char.isprintable() else ' ' for char in value)}`"
