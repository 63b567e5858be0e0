"""What a first page tells besides figures: what needs attention."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ias.analytics.values import Part
from ias.billing.values import Alert, BudgetStanding, MemberStanding
from ias.gitops.values import Binding, State
from ias.identity.values import Outline
from ias.vitals.findings import Finding

_FAILING: Final = 0.05
"""From this share of failed requests on it is told."""
_SOME: Final = 20
"""Of fewer requests a share says little."""


class Notice(msgspec.Struct, frozen=True):
    """What needs attention; `kind` is bad, warn or info. `moment` is when it will be, or was."""

    kind: str
    text: str
    href: str = ""
    label: str = ""
    moment: datetime | None = None


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What notices and steps of an organisation are made of.

    Attributes:
        manages: whether the one who looks may change budgets and members.
        holds_keys: whether they may hold keys; system admins do not.
        budget: None where it could not be told.
        called: what members are called.
        models: how many the organisation may call.
        used: whether a request was ever sent: by anybody for who manages the organisation, by the caller for others.
    """

    base: str
    manages: bool
    holds_keys: bool
    outline: Outline
    budget: BudgetStanding | None
    own: MemberStanding | None
    alerts: Sequence[Alert]
    called: Mapping[UUID, str]
    binding: Binding | None
    models: int
    used: bool
    failed: int = 0
    requests: int = 0


def notices(about: Around) -> tuple[Notice, ...]:
    """What needs attention in an organisation, for whoever looks; the worst first."""
    found = [*_of_budget(about), *_of_alerts(about), *_of_keys(about)]
    if about.manages:
        found += [*_of_git(about), *_of_people(about)]
    if about.requests >= _SOME and about.failed >= _FAILING * about.requests:
        said = f"{about.failed:,} of {about.requests:,} requests of this month failed."
        found.append(Notice("warn", said, f"{about.base}/requests?errors=true&period=30d", "See them"))
    return tuple(sorted(found, key=lambda notice: ("bad", "warn", "info").index(notice.kind)))


def platform_notices(
    findings: Sequence[Finding],
    replicas: Mapping[str, Sequence[str]],
    silent: Mapping[str, datetime],
    models: Sequence[Part],
) -> tuple[Notice, ...]:
    """What needs attention: what is wrong, replicas by model of which some are silent, and how the models did."""
    wrong = (
        Notice("bad", f"{found.subject}, {found.fact}: {found.said}. To mend it: {found.remedy}.")
        for found in findings
        if not found.well
    )
    unseen = (
        Notice("bad", f"{url} of {name} is not seen by gateways any more.", "/models", "See the models", silent[url])
        for name, urls in sorted(replicas.items())
        for url in urls
        if url in silent
    )
    failing = (
        Notice(
            "warn",
            f"{item.model}: {item.failed:,} of {item.requests:,} requests of this month failed.",
            "/usage",
            "See the usage",
        )
        for item in models
        if item.requests >= _SOME and item.failed >= _FAILING * item.requests
    )
    return *wrong, *unseen, *failing


def _of_budget(about: Around) -> Iterator[Notice]:
    whole, own = about.budget, about.own
    where = (f"{about.base}/budget", "See the budget")
    if whole is not None:
        yield from _of_limit("The organisation's budget", whole, where)
    if own is not None:
        yield from _of_limit("Your own budget", own, where)


def _of_limit(whose: str, of: BudgetStanding | MemberStanding, where: tuple[str, str]) -> Iterator[Notice]:
    if _is_used_up(of):
        yield Notice("bad", f"{whose} is used up: requests are refused until the month ends or it is raised.", *where)
    elif of.monthly_tokens is not None and of.forecast.ends_on is not None:
        day = f"{of.forecast.ends_on:%-d %b}"
        yield Notice("warn", f"{whose} will be used up on {day} if it goes on like this.", *where)


def _is_used_up(of: BudgetStanding | MemberStanding) -> bool:
    return of.monthly_tokens is not None and of.used_tokens >= of.monthly_tokens


def _of_alerts(about: Around) -> Iterator[Notice]:
    for alert in about.alerts:
        if alert.user_id is None and about.budget is not None and _is_used_up(about.budget):
            # It has been said that the organisation's is used up.
            continue
        whose = "the organisation" if alert.user_id is None else about.called.get(alert.user_id, "a member")
        amounts = f"{alert.used_tokens:,} of {alert.limit_tokens:,}"
        said = f"{alert.threshold} % of the budget of {whose} was reached: {amounts}."
        yield Notice(
            "bad" if alert.threshold >= 100 else "warn",  # noqa: PLR2004 - per cent
            said,
            f"{about.base}/budget",
            "See the budget",
            alert.raised_at,
        )


def _of_keys(about: Around) -> Iterator[Notice]:
    for key in about.outline.ending:
        yield Notice(
            "warn",
            f"The key “{key.label}” of {key.owner} ends soon.",
            f"{about.base}/keys/{key.id}",
            "See the key",
            key.expires_at,
        )


def _of_git(about: Around) -> Iterator[Notice]:
    binding, where = about.binding, (f"{about.base}/gitops", "See what Git says")
    if binding is None:
        return
    if binding.error:
        yield Notice("bad", f"The repository cannot be fetched: {binding.error}", *where, binding.fetched_at)
    if binding.state is State.INVALID:
        said = (
            f"The newest file in Git has {_count(len(binding.faults), 'fault')}; the last good policy stays in force."
        )
        yield Notice("bad", said, *where)
    if binding.state is State.HELD:
        said = f"Commit {binding.commit[:8]} waits for a system admin: {'; '.join(binding.held_for)}"
        yield Notice("warn", said, *where)
    if binding.state is State.MISSING:
        yield Notice(
            "bad", f"The file {binding.path} is not in the repository; the last policy stays in force.", *where
        )


def _of_people(about: Around) -> Iterator[Notice]:
    outline, members = about.outline, (f"{about.base}/members", "See the members")
    if not outline.admins:
        yield Notice("warn", "Nobody administers this organisation.", f"{about.base}/members/invite", "Invite an admin")
    if outline.lapsed:
        yield Notice("warn", f"{_count(outline.lapsed, 'invite')} ran out before anybody accepted.", *members)
    if outline.invited:
        yield Notice("info", f"{_count(outline.invited, 'invite')} not accepted yet.", *members)
    if outline.keyless:
        said = f"{_count(outline.keyless, 'member')} {'has' if outline.keyless == 1 else 'have'} no key that works."
        yield Notice("info", said, *members)


def _count(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
