"""`ias-admin key`: API keys."""

from datetime import datetime
from uuid import UUID

import msgspec
import rich_click as click

from ias.identity.api_keys.domain import ApiKey, IssuedKey, KeyChanges, NewKey, Rotation
from ias.terminal.arguments import Unlimited, amount, changes, given, moment
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say

COLUMNS = (
    *("id", "label", "prefix", "user_id", "created_at", "expires_at", "revoked_at"),
    *("last_used_at", "spent_tokens", "monthly_tokens", "models"),
)


@click.group()
def key() -> None:
    """API keys: your own; all of the organisation, for its admins."""


@key.command("list")
@click.option("--user", "user_id", type=click.UUID, help="Only of this member.")
@command
def listed(terminal: Terminal, user_id: UUID | None) -> None:
    """Keys that you may see."""
    terminal.show_listed("/api-keys", ApiKey, {"user_id": user_id}, *COLUMNS)


@key.command()
@click.argument("key_id", type=click.UUID)
@command
def show(terminal: Terminal, key_id: UUID) -> None:
    """One key."""
    terminal.show(terminal.client.get(f"/api-keys/{key_id}", ApiKey), *COLUMNS)


@key.command()
@click.argument("label")
@click.option("--expires", type=moment, help="When it stops working; never where left out.")
@click.option("--model", "models", multiple=True, help="A model that it may call, and no others; may be repeated.")
@click.option("--monthly-tokens", type=amount, help="Its cap, tokens a month; none where left out.")
@command
def create(terminal: Terminal, /, label: str, expires: datetime | None, **rules: object) -> None:
    """Issue a key for yourself. The token is shown once."""
    body = msgspec.convert({"label": label, "expires_at": expires, **given(rules)}, NewKey)
    if not terminal.would("POST", "/api-keys", body):
        _issued(terminal, terminal.client.send("POST", "/api-keys", body, IssuedKey))


@key.command()
@click.argument("key_id", type=click.UUID)
@click.option("--model", "models", multiple=True, help="A model that it may call, and no others; may be repeated.")
@click.option("--all-models", is_flag=True, help="It may call every model that the organisation may.")
@click.option("--monthly-tokens", type=amount, help="Its cap, tokens a month; `none` for no cap.")
@command
def change(terminal: Terminal, /, key_id: UUID, *, all_models: bool, **rules: object) -> None:
    """Change which models a key may call, and its cap; what is left out stays. Gateways go by it at once."""
    if all_models and rules["models"]:
        raise click.UsageError("say --model or --all-models, not both")
    asked = changes({**rules, "models": Unlimited.NONE} if all_models else rules, KeyChanges)
    path = f"/api-keys/{key_id}"
    if not terminal.would("PATCH", path, asked):
        terminal.show(terminal.client.send("PATCH", path, asked, ApiKey), *COLUMNS)


@key.command()
@click.argument("key_id", type=click.UUID)
@click.option("--grace", "grace_s", default=86_400, show_default=True, help="Seconds that the old key still works.")
@command
def rotate(terminal: Terminal, key_id: UUID, grace_s: int) -> None:
    """Issue a key like this one, and let this one end after a grace period."""
    path, body = f"/api-keys/{key_id}/rotate", Rotation(grace_s)
    if not terminal.would("POST", path, body):
        _issued(terminal, terminal.client.send("POST", path, body, IssuedKey))


@key.command()
@click.argument("key_id", type=click.UUID)
@command
def revoke(terminal: Terminal, key_id: UUID) -> None:
    """Turn a key away from now on."""
    path = f"/api-keys/{key_id}"
    terminal.sure(f"revoke key {key_id}, so that whoever uses it is turned away")
    if not terminal.would("DELETE", path):
        terminal.show(terminal.client.send("DELETE", path, None, ApiKey), *COLUMNS)


def _issued(terminal: Terminal, issued: IssuedKey) -> None:
    say("this is the only time that the token is shown")
    terminal.show(issued, "id", "label", "expires_at", "token")
