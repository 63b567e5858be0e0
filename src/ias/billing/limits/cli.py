"""`ias-admin org limits`: how fast, and how many at once."""

from collections.abc import Callable
from typing import ParamSpec
from uuid import UUID

import msgspec
import rich_click as click

from ias.billing.limits.domain import LimitsInForce
from ias.billing.policies.domain import RateLimits
from ias.terminal.arguments import amount, changes, given, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.managed import say_managed

OptionsP = ParamSpec("OptionsP")

_OPTIONS = {
    "requests_per_second": "Requests a second of the organisation.",
    "burst": "Requests of the organisation that may come at once.",
    "tokens_per_minute": "Tokens a minute of the organisation.",
    "concurrency": "Requests of the organisation that run at the same time.",
    "user_requests_per_second": "Requests a second of each member.",
    "user_burst": "Requests of each member that may come at once.",
    "user_tokens_per_minute": "Tokens a minute of each member.",
    "user_concurrency": "Requests of each member that run at the same time.",
    "min_output_tokens": "Near a budget's end, a request's output limit is cut down to this and not further.",
    "max_output_tokens": "Output limit of a request that gives none.",
}


@click.group()
def limits() -> None:
    """How fast an organisation and each member may ask, and how much at once."""


@limits.command()
@org_argument
@command
def show(terminal: Terminal, org_id: UUID | None) -> None:
    """The limits in force."""
    path = f"/organizations/{terminal.org(org_id)}/limits"
    _show(terminal, terminal.client.get(path, LimitsInForce))


def _each_limit(work: Callable[OptionsP, None]) -> Callable[OptionsP, None]:
    for name, said in reversed(_OPTIONS.items()):
        work = click.option(f"--{name.replace('_', '-')}", type=amount, help=said)(work)
    return work


@limits.command("set")
@org_argument
@_each_limit
@click.option("--mode", type=click.Choice(["strict", "estimate"]), help="What a request's prompt holds of the budget.")
@command
def set_(terminal: Terminal, /, org_id: UUID | None, **options: object) -> None:
    """Change some limits; the others stay. Refused where somebody changed them meanwhile."""
    changes(options, RateLimits)
    path = f"/organizations/{terminal.org(org_id)}/limits"
    in_force, etag = terminal.client.seen(path, LimitsInForce)
    asked = msgspec.convert({**msgspec.structs.asdict(in_force.lasting()), **given(options)}, RateLimits)
    if not terminal.would("PUT", path, asked):
        _show(terminal, terminal.client.put(path, asked, LimitsInForce, etag))


def _show(terminal: Terminal, found: LimitsInForce) -> None:
    terminal.show(found, *RateLimits.__struct_fields__)
    say_managed(found.managed_by, "rate_limits")
