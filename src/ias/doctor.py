"""`ias doctor`: one look at everything; names what is wrong, and what to do about each."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import rich_click as click
import uvloop
from rich.console import Console
from rich.table import Table

from ias.db import DatabaseDown, close_pool, open_pool
from ias.edge import Edge
from ias.settings import settings
from ias.telemetry import no_logging
from ias.vitals.examination import examine
from ias.vitals.findings import Finding

OPEN_S = 2.0
CLOSE_S = 1.0
WRONG = 1
HIDDEN = "***"


class Report(msgspec.Struct):
    """Whether all is well, and every finding."""

    well: bool
    findings: list[Finding]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def doctor(*, as_json: bool) -> None:
    """Say what is wrong with the platform and what to do; exits with 1 where something is."""
    no_logging()
    findings = [_hidden(finding) for finding in uvloop.run(_examined())]
    report = Report(all(finding.well for finding in findings), findings)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _print(report)
    if not report.well:
        raise SystemExit(WRONG)


async def _examined() -> list[Finding]:
    edge = Edge(settings().redis_url)
    try:
        return await examine(edge, await _unopened())
    finally:
        for close in (edge.close, close_pool):
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await close()


async def _unopened() -> str:
    """Why PostgreSQL's pool could not be opened; empty where it could."""
    try:
        async with asyncio.timeout(OPEN_S):
            await open_pool(settings().database_url, settings().database_pool, "doctor")
    except TimeoutError:
        return f"PostgreSQL does not answer within {OPEN_S:g} s"
    except DatabaseDown as error:
        return str(error)
    return ""


def _print(report: Report) -> None:
    table = Table("", "what", "fact", "found")
    for finding in report.findings:
        mark = "[green]well[/]" if finding.well else "[bold red]wrong[/]"
        remedy = f"\n[yellow]→ {_plain(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(mark, finding.subject, finding.fact, _plain(finding.said) + remedy)
    console = Console()
    console.print(table)
    count = sum(not finding.well for finding in report.findings)
    console.print("all is well" if report.well else f"{count} things are wrong")


def _plain(text: str) -> str:
    """Text that is no markup."""
    return text.replace("[", "\\[")


def _hidden(finding: Finding) -> Finding:
    """The finding without any secret of the settings, wherever a driver may have put it."""
    said = finding.said
    for secret in _secrets():
        said = said.replace(secret, HIDDEN)
    return msgspec.structs.replace(finding, said=said)


def _secrets() -> Iterator[str]:
    told = settings()
    yield told.jwt_secret.get_secret_value()
    for url in (told.database_url, told.redis_url, told.amqp_url, told.amqp_management_url):
        parts = urlsplit(url)
        given = [parts.password or "", *(value for name, value in parse_qsl(parts.query) if "password" in name)]
        for secret in filter(None, given):
            yield secret
            yield unquote(secret)
