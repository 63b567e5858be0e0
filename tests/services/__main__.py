"""`python -m tests.services prepare|up|status|down`: the services of the tests, by hand."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import click
import msgspec

from tests.services.ending import end
from tests.services.everywhere import run_everywhere, table
from tests.services.run import ROOT, join, watch
from tests.services.service import PARTS
from tests.services.stack import Services
from tests.services.worlds import NAMES, choose


def say(text: str) -> None:
    """Report progress beside the output proper."""
    click.echo(f"services: {text}", err=True)


def _by_hand(name: str) -> Path:
    """The folder of services started by hand: one for each working tree and name."""
    tree = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"ias-services-{os.getuid()}-{tree}-{name}"


NAME = click.option("--name", default="hand", help="Tell several sets of one working tree apart.")


@click.group()
def main() -> None:
    """Bring up the services of the tests by hand."""


@main.command()
def prepare() -> None:
    """Choose this machine's world; builds the Debian root where it is wanted."""
    folder = Path(tempfile.mkdtemp())
    try:
        world = choose(folder, say)
    finally:
        end(folder)
    click.echo(f"The tests will take their services from the world {world.name}.")
    for reason in world.missing.values():
        click.echo(f"Skipped will be what needs it: {reason}.")


@main.command()
@NAME
@click.option("--world", type=click.Choice(NAMES), help="Instead of the best that this machine can have.")
def up(name: str, world: str | None) -> None:
    """Start all services and print their addresses as shell variables; they run until `down`."""
    folder = _by_hand(name)
    folder.mkdir(mode=0o711, exist_ok=True)
    folder.chmod(0o711)
    for failed in folder.glob("*.failed"):  # of an earlier try
        failed.unlink()
    _show(join(folder, say, world))


@main.command()
@NAME
def status(name: str) -> None:
    """Print what runs; returns 1 where nothing does."""
    folder = _by_hand(name)
    remembered = next(iter(folder.glob("*.started")), None)
    if remembered is None:
        click.echo("Nothing runs: start it by `python -m tests.services up`.")
        raise SystemExit(1)
    services = join(folder, say, None if remembered.stem == "best" else remembered.stem)
    for part in PARTS:
        if part not in services.world.missing:
            service = getattr(services, part)
            click.echo(f"{part}: {'runs' if service.running else 'has ended'}, {service.url}")


@main.command()
@NAME
def down(name: str) -> None:
    """End them and delete their data."""
    end(_by_hand(name))


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--only", help=f"Names with commas between: {', '.join(NAMES)}.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the table goes as JSON.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worlds(only: str | None, out: Path | None, arguments: tuple[str, ...]) -> None:
    """Run the tests that hang on a version, or pytest with ARGUMENTS, in every world that this machine can have."""
    rows = run_everywhere(only.split(",") if only else (), arguments, say)
    click.echo(f"\n{table(rows)}")
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(rows)) + b"\n")
    sys.exit(any(row.failed for row in rows))


@main.command(name="watch", hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
def watch_run(folder: Path) -> None:
    """End the services of a test run when its owner is gone."""
    watch(folder)


def _show(services: Services) -> None:
    click.echo(f"export IAS_TEST_DATABASE_URL={services.database_url}")
    click.echo(f"export IAS_TEST_REDIS_URL={services.redis_url}")
    if services.amqp_url:
        click.echo(f"export IAS_TEST_AMQP_URL={services.amqp_url}")
        click.echo(f"export IAS_TEST_RABBITMQ_MANAGEMENT_URL={services.management_url}")


if __name__ == "__main__":
    try:
        main(prog_name="python -m tests.services")
    except RuntimeError as error:  # every expected failure of the rig is one, and says what to do
        say(str(error))
        sys.exit(1)
