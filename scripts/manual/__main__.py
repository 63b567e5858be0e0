"""`python -m scripts.manual write` for what is committed, `… stage FOLDER` for what the site is built of."""

from pathlib import Path

import click

from scripts.manual import commands, events, gateway, staging, variables

DOCS = Path(__file__).resolve().parents[2] / "docs"


def committed() -> dict[str, bytes]:
    """What is made of code alone and stands under docs/."""
    return {
        "commands.md": commands.page().encode(),
        "events.json": events.written(),
        "gateway-openapi.json": gateway.written(),
        "settings.md": variables.page().encode(),
    }


@click.group()
def manual() -> None:
    """Pages that are made of code."""


@manual.command()
def write() -> None:
    """Write the pages that are committed; schema.md needs a database, and its test writes it (`nox -s manual`)."""
    for name, content in committed().items():
        (DOCS / name).write_bytes(content)


@manual.command()
@click.argument("folder", type=click.Path(path_type=Path))
def stage(folder: Path) -> None:
    """Put the site's pages into a folder: those of docs/, and those that the documents of the APIs make."""
    staging.stage(DOCS, folder)


if __name__ == "__main__":
    manual()
