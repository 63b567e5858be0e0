"""Which replicas have fallen silent: their counters were read once, and are not any more."""

from datetime import datetime, timedelta
from typing import Final

from ias.db import Scope, transaction

SILENT: Final = timedelta(minutes=2)
"""They are read every ten seconds, as long as a gateway and a worker run."""

_SILENT = """
SELECT url, read_at FROM analytics.engine_readings
WHERE read_at < $1 AND EXISTS (SELECT FROM analytics.engine_readings WHERE read_at >= $1)
"""


async def silent_replicas(scope: Scope, moment: datetime) -> dict[str, datetime]:
    """When each replica was last read that is not read any more; none where no replica is, for then nobody reads."""
    async with transaction(scope) as connection:
        rows = await connection.fetch(_SILENT, moment - SILENT)
    return {row["url"]: row["read_at"] for row in rows}
