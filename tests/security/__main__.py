"""`python -m tests.security`: says what is found and not justified, or justified and not found; then exit code 1.

Needs no network and asks nobody whether a secret still opens anything. `--history` looks through all commits too.
"""

import sys
from collections.abc import Iterator

import click

from tests.security import clusters, house, secrets
from tests.security.findings import Finding, judged

CHECKS = {"semgrep": house.findings, "secrets": secrets.findings, "checkov": clusters.findings}


@click.command()
@click.option("--history", is_flag=True, help="Look for secrets in every commit, not in the tree alone.")
@click.option("--only", type=click.Choice(list(CHECKS)), multiple=True, help="This check; may be given again.")
def main(*, history: bool, only: tuple[str, ...]) -> None:
    wrong = 0
    for name in only or CHECKS:
        for sentence in _said(name, history=history):
            wrong += 1
            click.echo(sentence)
    click.echo(f"{wrong} to look at" if wrong else "Nothing to look at.")
    sys.exit(1 if wrong else 0)


def _said(name: str, *, history: bool) -> Iterator[str]:
    found: list[Finding] = list(secrets.findings(history=history) if name == "secrets" else CHECKS[name]())
    yield from judged(name, found)


if __name__ == "__main__":
    main()
