"""The first steps on a first page: each ticks itself as soon as what it asks for is there."""

from collections.abc import Iterator

import msgspec

from ias.home.domain import Around
from ias.identity.values import PlatformOutline


class Step(msgspec.Struct, frozen=True):
    """One of the first steps: whether it is done, what it is for, where it is done."""

    done: bool
    title: str
    text: str
    href: str = ""
    label: str = ""


def steps(about: Around) -> tuple[Step, ...]:
    """The first steps in an organisation, for whoever looks."""
    return tuple(_admins_steps(about) if about.manages else _users_steps(about))


def platform_steps(outline: PlatformOutline, models: int, gateways: int, *, used: bool) -> tuple[Step, ...]:
    """The first steps on a new platform."""
    return (
        Step(
            models > 0,
            "Register a model",
            "A name that programs call, the engines behind it, and what a token costs.",
            "/models/new",
            "Register a model",
        ),
        Step(
            outline.organisations > 0,
            "Create an organisation",
            "Whoever shares a budget, models and members.",
            "/orgs/new",
            "Create an organisation",
        ),
        Step(
            outline.admins,
            "Invite its first admin",
            "Open the organisation, invite an address, hand the link over.",
            "/orgs",
            "Choose the organisation",
        ),
        Step(gateways > 0, "Start a gateway", "Programs call it; it is `ias-gateway`, or `make up` starts all."),
        Step(used, "See the first request", "An org admin or a member makes a key and calls a model with it."),
    )


def _admins_steps(about: Around) -> Iterator[Step]:
    base, budget = about.base, about.budget
    yield Step(
        about.models > 0, "Have models", "A system admin registers models and says which this organisation may call."
    )
    yield Step(
        budget is not None and budget.monthly_tokens is not None,
        "Have a budget",
        "Tokens a month, so that nothing runs away; alerts tell before it is gone.",
        f"{base}/budget",
        "Set the budget",
    )
    yield Step(
        about.outline.members + about.outline.invited > 1,
        "Invite members",
        "Each gets a link that works once, for seven days.",
        f"{base}/members/invite",
        "Invite somebody",
    )
    made = about.outline.own_keys if about.holds_keys else about.outline.keys
    where = (f"{base}/keys/new", "Make a key") if about.holds_keys else ("", "")
    yield Step(made, "Make an API key", "Its token is shown once; programs call models with it.", *where)
    yield Step(about.used, "Send the first request", "It is counted here seconds after it ended.")


def _users_steps(about: Around) -> Iterator[Step]:
    yield Step(
        about.outline.own_keys,
        "Make an API key",
        "Its token is shown once; your programs call models with it.",
        f"{about.base}/keys/new",
        "Make a key",
    )
    yield Step(about.used, "Send the first request", "Put your key into the lines below and run them.")
