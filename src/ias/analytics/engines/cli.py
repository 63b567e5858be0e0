"""`ias-admin usage reconcile`: our tokens against those that engines counted."""

import rich_click as click

from ias.analytics.engines.domain import Reconciled, Reconciliation
from ias.analytics.usage.cli import since, until
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say

COLUMNS = (
    *("day", "models", "prompt_tokens", "engine_prompt_tokens", "prompt_difference"),
    *("completion_tokens", "engine_completion_tokens", "completion_difference", "watched_share", "agrees", "causes"),
)


@click.command()
@since
@until
@command
def reconcile(terminal: Terminal, /, **query: object) -> None:
    """Our tokens against those that engines counted, by model and whole day (UTC), and what a difference may be."""
    found = terminal.client.get("/analytics/system/reconciliation", Reconciliation, query)
    terminal.show_items(found, [_row(item) for item in found.items], *COLUMNS)
    for item in found.items:
        for reason in item.reasons:
            say(f"{item.day} {' '.join(item.models)}: {reason.cause}: {reason.said}")
    read_at = f"{found.read_at:%Y-%m-%d %H:%M:%S} UTC" if found.read_at else "never"
    agree = sum(item.agrees is True for item in found.items)
    say(
        f"{agree} of {len(found.items)} agree; differences are the engines' less ours; engines were last read {read_at}"
    )


def _row(item: Reconciled) -> dict[str, object]:
    """An item as a row."""
    told = {name: getattr(item, name, None) for name in COLUMNS}
    return told | {"models": " ".join(item.models), "causes": " ".join(reason.cause for reason in item.reasons)}
