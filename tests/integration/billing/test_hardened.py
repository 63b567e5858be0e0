"""A database in which nobody may do what they were not given: the consumers take usage in all the same."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from ias.analytics.doors import INTAKE as USAGE
from ias.billing.doors import INTAKE as LEDGER
from ias.intake import take_in
from tests.integration.billing.ground import Ground, migrate, opened
from tests.integration.billing.test_ledger import events
from tests.services import Services


@pytest.fixture
async def ground(world: Services) -> AsyncIterator[Ground]:
    """Migrated after PUBLIC lost every right to the database."""
    with world.database() as url:
        owner = await asyncpg.connect(url)
        await owner.execute(f"REVOKE ALL ON DATABASE {urlsplit(url).path.lstrip('/')} FROM PUBLIC")
        await owner.close()
        migrate(url, world.redis_url)
        async with opened(url, world.redis_url) as ground:
            yield ground


async def test_usage_is_booked_and_counted(ground: Ground) -> None:
    org = await ground.organisation()

    for intake in (LEDGER, USAGE):
        await take_in(intake, events(org, 3))

    assert await ground.value("SELECT count(*) FROM billing.ledger_lines") == 3
    assert await ground.value("SELECT count(*) FROM analytics.usage_events") == 3
