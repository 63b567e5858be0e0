"""`ias-admin doctor`: tries everything from where a person sits, and says what to do about each failure."""

import rich_click as click

from ias.terminal.commands import Terminal, command
from ias.terminal.examination import examine
from ias.terminal.output import say


@click.command()
@command
def doctor(terminal: Terminal) -> None:
    """Try everything: address, API, clock, login, gateway. Ends with the exit code of the first thing wrong."""
    findings = list(examine(terminal))
    terminal.show(findings, "what", "well", "found", "mend")
    wrong = [finding for finding in findings if not finding.well]
    say(f"{len(wrong)} of {len(findings)} are wrong" if wrong else "all is well")
    if wrong:
        raise SystemExit(wrong[0].code)
