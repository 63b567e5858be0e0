"""How PostgreSQL is: reachable, migrated, with the role that policies hold for, with TimescaleDB or without."""

from ias import schema
from ias.db import EVERYWHERE, ROLE, DatabaseDown, transaction
from ias.settings import settings
from ias.vitals.findings import Figure, Finding, judged, well, wrong

NAME = "postgresql"

_ROLE = """
SELECT current_user AS role, rolsuper OR rolbypassrls AS passes FROM pg_roles WHERE rolname = current_user
"""
_TIMESCALE = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
_WORKERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ias-worker' AND datname = current_database()"
)

_THERE = """
SELECT (SELECT coalesce(sum(numbackends), 0)::bigint FROM pg_stat_database) AS connections,
       current_setting('max_connections')::bigint AS most, pg_database_size(current_database()) AS size
"""
CROWDED = 0.9


async def look(unopened: str) -> list[Finding]:
    """PostgreSQL's findings; `unopened` is why no pool could be opened, empty where one was."""
    if unopened:
        return [_down(unopened)]
    try:
        async with transaction(EVERYWHERE) as connection:
            version = await connection.fetchval("SHOW server_version")
            role = await connection.fetchrow(_ROLE)
            timescale = await connection.fetchval(_TIMESCALE)
            workers = await connection.fetchval(_WORKERS)
            there = await connection.fetchrow(_THERE)
            missing = await schema.pending(connection, settings().migrations_dir)
    except DatabaseDown as error:
        return [_down(str(error))]
    return [
        well(NAME, "reachable", f"version {version}", Figure("ias_postgresql_up", 1)),
        _migrations([step.name for step in missing]),
        _role(role["role"], passes=role["passes"]),
        _timescale(timescale),
        _workers(workers),
        _connections(there["connections"], there["most"]),
        well(NAME, "size", f"{there['size'] / 2**20:.0f} MiB", Figure("ias_postgresql_size_bytes", there["size"])),
    ]


def _down(why: str) -> Finding:
    remedy = "start PostgreSQL, or correct IAS_DATABASE_URL; on a new one, run `ias migrate up`"
    return wrong(NAME, "reachable", why, remedy, Figure("ias_postgresql_up", 0))


def _migrations(missing: list[str]) -> Finding:
    pending = wrong(
        NAME,
        "migrations",
        f"{len(missing)} pending, from {missing[0]}" if missing else "none pending",
        "run `ias migrate up`",
        Figure("ias_migrations_pending", len(missing)),
    )
    return judged(not missing, pending)


def _role(role: str, *, passes: bool) -> Finding:
    good = role == ROLE and not passes
    said = f"connections act as {role}" + (", whom row-level security does not hold" if passes else "")
    remedy = f"let the login of IAS_DATABASE_URL be a member of {ROLE}, which is no superuser and has no BYPASSRLS"
    return judged(good, wrong(NAME, "role", said, remedy, Figure("ias_postgresql_role_ok", good)))


def _timescale(version: str | None) -> Finding:
    said = f"TimescaleDB {version}" if version else "no TimescaleDB: usage events are in monthly partitions"
    return well(NAME, "timescaledb", said, Figure("ias_timescaledb", version is not None))


def _connections(connections: int, most: int) -> Finding:
    said = f"{connections} connections of {most}"
    remedy = "raise max_connections, or lower IAS_DATABASE_POOL of the processes"
    figures = (Figure("ias_postgresql_connections", connections), Figure("ias_postgresql_connections_limit", most))
    return judged(connections < CROWDED * most, wrong(NAME, "connections", said, remedy, *figures))


def _workers(connections: int) -> Finding:
    said = f"{connections} connections of workers" if connections else "no worker is connected"
    remedy = "start `ias worker`: nothing is booked without one"
    return judged(
        connections > 0, wrong("worker", "running", said, remedy, Figure("ias_worker_connections", connections))
    )
