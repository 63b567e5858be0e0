"""The whole examination: every look at once, and none waits for one that is stuck."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ias.db import DatabaseDown
from ias.edge import Edge, EdgeDown
from ias.vitals import books, gateways, organisations, postgresql, rabbitmq, redis, repositories
from ias.vitals.findings import Figure, Finding, wrong

PATIENCE_S = 4.0
SERVICES = {postgresql.NAME, redis.NAME, rabbitmq.NAME}

Look = Callable[[], Awaitable[list[Finding]]]


async def examine(edge: Edge, unopened: str = "") -> list[Finding]:
    """Everything, in four seconds at most; `unopened` is why PostgreSQL's pool is not open, where it is not."""
    looks: dict[str, Look] = {
        postgresql.NAME: lambda: postgresql.look(unopened),
        redis.NAME: lambda: redis.look(edge),
        rabbitmq.NAME: rabbitmq.look,
        gateways.NAME: lambda: gateways.look(edge),
        "organisations": lambda: organisations.look(edge),
        "books": books.look,
        repositories.NAME: repositories.look,
    }
    return await _all(looks)


async def glance(edge: Edge) -> list[Finding]:
    """What can be told at once, however many organisations there are: gateways, the books, repositories."""
    return await _all(
        {gateways.NAME: lambda: gateways.look(edge), "books": books.look, repositories.NAME: repositories.look}
    )


async def _all(looks: Mapping[str, Look]) -> list[Finding]:
    found = await asyncio.gather(*(_patiently(name, look) for name, look in looks.items()))
    return [finding for findings in found for finding in findings]


async def _patiently(name: str, look: Look) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await look()
    except TimeoutError:
        return [_untold(name, f"no answer within {PATIENCE_S:g} s")]
    except (DatabaseDown, EdgeDown) as error:
        return [_untold(name, str(error))]
    except Exception as error:  # noqa: BLE001 - whatever it was, the other looks are told
        return [_untold(name, f"{type(error).__name__}: {error}")]


def _untold(name: str, why: str) -> Finding:
    remedy = "see what is down, start it, and ask again"
    if name in SERVICES:
        return wrong(name, "reachable", why, remedy, Figure(f"ias_{name}_up", 0))
    return wrong(name, "seen", f"cannot be told: {why}", remedy)
