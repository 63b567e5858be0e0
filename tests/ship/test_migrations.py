"""No new migration stops a table that is in use: squawk reads the very statements that `ias migrate up` sends."""

import tomllib
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ias.db import ENGINE
from ias.indexes import build
from ias.migrate import forwards
from ias.schema import RECORD, Step, discover
from tests.services import Services
from tests.ship.tools import ROOT, tool

LANDED = {"identity": 11, "billing": 10, "analytics": 5, "gitops": 2}
"""The last migration of each context that was there before any release: they ran on databases that served nobody, and
never change any more. Some would be refused today (analytics_0004 builds an index on a table in use)."""

ALONE = (
    "CREATE INDEX",
    "CREATE UNIQUE INDEX",
    "DROP INDEX",
    "ALTER TABLE",
    "UPDATE",
    "SELECT",
    "SET LOCAL",
    "ALTER INDEX",
)
"""How statements begin of a migration that is no transaction; squawk sees that indexes are built concurrently."""

BUILT = Step("analytics", "analytics_9999_built", ROOT)
"""Not a file: an index on the largest table, as docs/migrations.md has it done."""


def is_new(step: Step) -> bool:
    return int(step.name.split("_")[1]) > LANDED[step.context]


PIECEWISE = (" ON ONLY ", "timescaledb.transaction_per_chunk")
"""Marks of what `ias.indexes.build` does part by part; squawk takes it for building at once."""


def lint(folder: Path, texts: dict[str, list[str]], *, whole: bool) -> list[str]:
    """What squawk has against migrations, given as the statements of each."""
    paths = []
    for name, statements in texts.items():
        paths.append(folder / f"{name}.sql")
        read = [text for text in statements if whole or not any(mark in text for mark in PIECEWISE)]
        paths[-1].write_text("".join(f"{text.strip().rstrip(';')};\n" for text in read))
    if not paths:
        return []
    # What is built concurrently waits for whoever is at it; it keeps nobody out meanwhile.
    off = ",".join((*tomllib.loads((ROOT / ".squawk.toml").read_text())["excluded_rules"], "require-lock-timeout"))
    flags = () if whole else ("--no-assume-in-transaction", f"--exclude={off}")
    ran = tool("squawk", "--config=.squawk.toml", "--reporter=json", *flags, *paths)
    assert ran.returncode in {0, 1}, ran.stderr
    return [
        f"{Path(one['file']).stem}: {one['rule_name']}: {one['message']}" for one in msgspec.json.decode(ran.stdout)
    ]


@pytest.fixture
async def sent(world: Services, monkeypatch: pytest.MonkeyPatch) -> dict[Step, list[str]]:
    """Every migration, and what it sends to an empty database of this world."""
    said: list[str] = []

    def note(query: str, **_: object) -> None:
        said.append(query)

    monkeypatch.setattr(ENGINE, "log_queries", True)
    monkeypatch.setattr(ENGINE, "print_query", note)
    monkeypatch.setattr(ENGINE, "config", ENGINE.config)
    of_each = {}
    with world.database() as url:
        ENGINE.config = {"dsn": url}
        connection = await asyncpg.connect(url)
        await connection.execute(RECORD)
        await connection.close()
        for step in discover(ROOT / "migrations"):
            said.clear()
            await forwards(step)
            of_each[step] = [*said]
        await ENGINE.run_ddl("SELECT analytics.open_month(now())")
        said.clear()
        await build("analytics.usage_events", "usage_events_tried", "(model, started_at)")
        of_each[BUILT] = [*said]
    return of_each


async def test_no_new_migration_stops_a_table_that_is_in_use(sent: dict[Step, list[str]], tmp_path: Path) -> None:
    assert {step.context: int(step.name.split("_")[1]) for step in sent if not is_new(step)} == LANDED
    assert all(
        statements[0].startswith("SET LOCAL lock_timeout") for step, statements in sent.items() if not is_new(step)
    )
    new = {step: statements for step, statements in sent.items() if is_new(step)}
    whole = {step.name: step != BUILT and (await step.manager()).wrap_in_transaction for step in new}
    for kind in (True, False):
        texts = {step.name: statements for step, statements in new.items() if whole[step.name] is kind}
        assert lint(tmp_path, texts, whole=kind) == [], "docs/migrations.md says how it is done instead"
        strange = [
            text for texts in texts.values() for text in texts if not kind and not text.lstrip().startswith(ALONE)
        ]
        assert strange == [], "only what locks nobody out belongs into a migration that is no transaction"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX IF NOT EXISTS a ON billing.ledger_entries (org_id)", "require-concurrent-index-creation"),
        ("ALTER TABLE billing.ledger_entries ALTER COLUMN org_id TYPE text", "changing-column-type"),
        ("ALTER TABLE billing.ledger_entries ALTER COLUMN org_id SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE billing.ledger_entries DROP COLUMN org_id", "ban-drop-column"),
        ("ALTER TABLE billing.ledger_entries RENAME COLUMN org_id TO org", "renaming-column"),
        ("ALTER TABLE billing.ledger_entries ADD COLUMN a bigint NOT NULL", "adding-required-field"),
        ("ALTER TABLE billing.ledger_entries ADD CONSTRAINT a CHECK (line > 0)", "constraint-missing-not-valid"),
        ("CREATE INDEX CONCURRENTLY a ON billing.models (name)", "ban-concurrent-index-creation-in-transaction"),
    ],
)
def test_what_stops_a_table_is_refused(statement: str, rule: str, tmp_path: Path) -> None:
    texts = {"billing_9001_bad": ["SET LOCAL lock_timeout = '2s'", statement]}
    assert rule in {line.split(": ")[1] for line in lint(tmp_path, texts, whole=True)}


def test_what_stops_nobody_may_pass(tmp_path: Path) -> None:
    expand = [
        "SET LOCAL lock_timeout = '2s'",
        "ALTER TABLE billing.models ADD COLUMN IF NOT EXISTS colour text",
        "CREATE TABLE IF NOT EXISTS billing.shades (id uuid PRIMARY KEY, colour text NOT NULL)",
        "CREATE INDEX IF NOT EXISTS shades_colour ON billing.shades (colour)",
    ]
    assert lint(tmp_path, {"billing_9001_expand": expand}, whole=True) == []
    index = ["CREATE INDEX CONCURRENTLY IF NOT EXISTS models_colour ON billing.models (colour)"]
    assert lint(tmp_path, {"billing_9002_index": index}, whole=False) == []
