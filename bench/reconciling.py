"""`python -m bench.reconciling`: a thousand organisations in one repository, looked at by one worker."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import click
import msgspec
import uvloop

from bench.ground import Ground, open_ground
from bench.report import ROOT, Machine, changed, commit, machine, write
from ias.contract.keys import new_tag
from ias.db import close_pool, open_pool, uuid7
from ias.edge import Edge
from ias.gitops.doors import Reconciler
from ias.settings import settings

LATEST = ROOT / "bench/results/reconciling.json"
GIT = {
    "PATH": os.defpath,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}
_ORGS = ("id", "name", "name_folded", "tag")
_USERS = ("id", "org_id", "email", "email_folded", "name", "password_hash", "role")
_BUDGETS = ("org_id", "monthly_tokens", "ceiling_tokens")
_BINDINGS = ("org_id", "repository_id", "enabled_by", "enabled_by_email")


class Figures(msgspec.Struct):
    """Seconds of one look at the repository, when so much had changed since the look before."""

    first_s: float
    nothing_changed_s: float
    one_changed_s: float
    all_changed_s: float
    one_put_back_s: float


class Report(msgspec.Struct):
    """The whole of `reconciling.json`."""

    commit: str
    changed: bool
    measured_at: str
    machine: Machine
    world: str
    organisations: int
    members_of_each: int
    figures: Figures


@click.command()
@click.option("--organisations", default=1000, show_default=True)
@click.option("--members", default=10, show_default=True, help="Of each organisation, all in its file.")
@click.option("--out", type=click.Path(path_type=Path), default=LATEST, show_default=True, help="Where the JSON goes.")
def main(*, organisations: int, members: int, out: Path) -> None:
    """Measure the reconciler on this machine."""
    place = machine()
    with open_ground(queue=False) as ground, _told(ground):
        figures = uvloop.run(_measured(ground, organisations, members))
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    write(Report(commit(), changed(), moment, place, ground.world, organisations, members, figures), out)
    click.echo(msgspec.json.format(msgspec.json.encode(figures)).decode())


@contextmanager
def _told(ground: Ground) -> Iterator[None]:
    """This process is a worker."""
    told = {**ground.environment, "IAS_GITOPS_LOCAL": str(ground.folder), "IAS_GITOPS_DIR": str(ground.folder / "kept")}
    os.environ.update({name: value for name, value in told.items() if name.startswith("IAS_")})  # noqa: TID251
    settings.cache_clear()
    yield


async def _measured(ground: Ground, organisations: int, members: int) -> Figures:
    folder = ground.folder / "policies"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    names = [f"org-{number:04}" for number in range(organisations)]
    _commit(folder, {name: _policy(name, members, 1000) for name in names})
    await open_pool(ground.postgres.url, 16, "bench")
    owner, edge = await asyncpg.connect(ground.postgres.url), Edge(ground.redis.url)
    try:
        first_org = await _seed(owner, folder, names, members)
        first = await _look(owner, edge)
        nothing = await _look(owner, edge)
        _commit(folder, {names[0]: _policy(names[0], members, 2000)})
        one = await _look(owner, edge)
        _commit(folder, {name: _policy(name, members, 3000) for name in names})
        everything = await _look(owner, edge)
        wrong = await owner.fetchval("SELECT count(*) FROM billing.budgets WHERE monthly_tokens <> 3000")
        if wrong:
            raise click.ClickException(f"{wrong} organisations are not as their files have them")
        await owner.execute("UPDATE billing.budgets SET monthly_tokens = 5 WHERE org_id = $1", first_org)
        back = await _look(owner, edge)
    finally:
        await owner.close()
        await edge.close()
        await close_pool()
    return Figures(*(round(seconds, 2) for seconds in (first, nothing, one, everything, back)))


async def _look(owner: "asyncpg.Connection[asyncpg.Record]", edge: Edge) -> float:
    await owner.execute("UPDATE gitops.repositories SET due_at = now() - interval '1 second', fetch_after = now()")
    began = time.monotonic()
    reconciler = Reconciler(edge)
    await reconciler.turn()
    await reconciler.all_done()
    return time.monotonic() - began


async def _seed(owner: "asyncpg.Connection[asyncpg.Record]", folder: Path, names: list[str], members: int) -> UUID:
    orgs = [(uuid7(), name, name, new_tag()) for name in names]
    users = [
        (uuid7(), org[0], email, email, "x", "x", "org-admin" if number == 0 else "org-user")
        for org in orgs
        for number, email in enumerate(_emails(org[1], members))
    ]
    repository = uuid7()
    for table, columns, rows in (("organizations", _ORGS, orgs), ("users", _USERS, users)):
        await owner.copy_records_to_table(table, schema_name="identity", columns=columns, records=rows)
    budgets = [(org[0], 9000, 9000) for org in orgs]
    await owner.copy_records_to_table("budgets", schema_name="billing", columns=_BUDGETS, records=budgets)
    await owner.execute(
        "INSERT INTO gitops.repositories (id, url, branch) VALUES ($1, $2, 'main')", repository, str(folder)
    )
    bound = [(org[0], repository, users[0][0], "bench@example.org") for org in orgs]
    await owner.copy_records_to_table("bindings", schema_name="gitops", columns=_BINDINGS, records=bound)
    return orgs[0][0]


def _emails(name: str, members: int) -> list[str]:
    return [f"user-{number}@{name}.example.org" for number in range(members)]


def _policy(name: str, members: int, tokens: int) -> str:
    users = "".join(
        f"    - email: {email}\n      role: {'org-user' if number else 'org-admin'}\n"
        f"      monthly_token_limit: {tokens}\n"
        for number, email in enumerate(_emails(name, members))
    )
    return (
        f"apiVersion: ias.linode.com/v1\nkind: Organization\nmetadata:\n  name: {name}\n  description: measured\n"
        f"spec:\n  budgets:\n    monthly_tokens: {tokens}\n  users:\n{users}  alert_thresholds:\n    - percent: 80\n"
    )


def _commit(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = folder / "orgs" / name / "org.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "measured")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], env=GIT, check=True)


if __name__ == "__main__":
    main()
