"""`ias-admin usage models|users|keys|orgs`: who and what makes up usage, and how it changed."""

from collections.abc import Callable, Sequence
from typing import ParamSpec
from uuid import UUID

import rich_click as click

from ias.analytics.shares.domain import Part, Shares, Sort
from ias.analytics.usage.cli import since, until, zone
from ias.analytics.usage.sketch import Performance
from ias.client import Query
from ias.terminal.arguments import org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say

OptionsP = ParamSpec("OptionsP")
SUMS = ("requests", "failed_share", "total_tokens", "share", "previous_tokens", "change_tokens")
TIMES = ("first_token_p50_ms", "first_token_p99_ms", "duration_p50_ms", "duration_p99_ms", "tokens_per_second_p50")


def _viewed(work: Callable[OptionsP, None]) -> Callable[OptionsP, None]:
    """The options that all of these have."""
    sort = click.option(
        "--sort", type=click.Choice([by.value for by in Sort]), help="What comes first; most tokens where left out."
    )
    limit = click.option("--limit", type=click.IntRange(1, 200), help="How many at most; 50 where left out.")
    return since(until(zone(sort(limit(work)))))


@click.command()
@org_argument
@_viewed
@command
def models(terminal: Terminal, /, org_id: UUID | None, **query: object) -> None:
    """Usage of an organisation by model, with percentiles and speeds, compared with the time before."""
    _show(terminal, f"/analytics/orgs/{terminal.org(org_id)}/models", query, ["model", *SUMS, *TIMES])


@click.command()
@org_argument
@_viewed
@command
def users(terminal: Terminal, /, org_id: UUID | None, **query: object) -> None:
    """Usage of an organisation by member, compared with the time before."""
    _show(terminal, f"/analytics/orgs/{terminal.org(org_id)}/users", query, ["user_id", *SUMS])


@click.command()
@org_argument
@_viewed
@command
def keys(terminal: Terminal, /, org_id: UUID | None, **query: object) -> None:
    """Usage of an organisation by API key, compared with the time before."""
    _show(terminal, f"/analytics/orgs/{terminal.org(org_id)}/keys", query, ["key_id", *SUMS])


@click.command()
@_viewed
@command
def orgs(terminal: Terminal, /, **query: object) -> None:
    """Usage of the platform by organisation, in whole days (UTC), compared with the time before."""
    _show(terminal, "/analytics/system/orgs", query, ["org_id", *SUMS])


@click.command()
@_viewed
@command
def platform_models(terminal: Terminal, /, **query: object) -> None:
    """Usage of the platform by model, with percentiles and speeds, compared with the time before."""
    _show(terminal, "/analytics/system/models", query, ["model", *SUMS, *TIMES])


def _show(terminal: Terminal, path: str, query: Query, columns: Sequence[str]) -> None:
    found = terminal.client.get(path, Shares, query)
    terminal.show_items(found, [_row(item, columns) for item in found.items], *columns)
    if found.rest is not None:
        say(f"others: {found.rest.requests} requests, {found.rest.total_tokens} tokens")
    as_of = f"; data as of {found.data_as_of:%Y-%m-%d %H:%M:%S} UTC" if found.data_as_of else ""
    totals = found.totals
    say(f"{totals.requests} requests, {totals.total_tokens} tokens, {totals.change_tokens:+} since before{as_of}")


def _row(item: Part, columns: Sequence[str]) -> dict[str, object]:
    """An item as a row, with the times of its performance beside the sums."""
    told = item.performance
    times: dict[str, object] = {}
    if isinstance(told, Performance):
        times = {
            "first_token_p50_ms": told.first_token_ms.p50,
            "first_token_p99_ms": told.first_token_ms.p99,
            "duration_p50_ms": told.duration_ms.p50,
            "duration_p99_ms": told.duration_ms.p99,
            "tokens_per_second_p50": told.tokens_per_second.p50,
        }
    return {name: times[name] if name in times else getattr(item, name, None) for name in columns}
