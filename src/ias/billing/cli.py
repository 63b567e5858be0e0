"""`ias projection`: the copy of the state in Redis that gateways decide by."""

import rich_click as click
import uvloop

from ias.billing.projection import rebuild
from ias.db import close_pool, open_pool
from ias.edge import Edge
from ias.settings import settings


@click.group()
def projection() -> None:
    """The copy of the state in Redis that gateways decide by."""


@projection.command(name="rebuild")
def rebuild_command() -> None:
    """Write every organisation with its keys, limits, models and use of this month into Redis again."""
    orgs = uvloop.run(_rebuild())
    click.echo(f"projected {orgs} organisations")


async def _rebuild() -> int:
    await open_pool(settings().database_url, settings().database_pool, "projection")
    edge = Edge(settings().redis_url)
    try:
        return await rebuild(edge)
    finally:
        await edge.close()
        await close_pool()
