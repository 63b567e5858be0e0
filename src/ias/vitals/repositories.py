"""Whether policies can be fetched: the programs that it takes, and the repositories that cannot be had."""

from ias.gitops import doors as gitops
from ias.vitals.findings import Figure, Finding, judged, wrong

NAME = "git"


async def look() -> list[Finding]:
    """What is known of the repositories that organisations are bound to.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    return found(await gitops.fetching())


def found(stands: gitops.Fetching) -> list[Finding]:
    """What to make of how fetching stands."""
    here = f"git {stands.git}, {'ssh' if stands.ssh else 'no ssh: repositories are had by https alone'}"
    lacking = f"missing where this runs: {stands.lacking}" if stands.lacking else here
    remedy = "install it where the workers run: Debian has the packages git and openssh-client"
    programs = judged(not stands.lacking, wrong(NAME, "programs", lacking, remedy))
    said = f"{stands.failing} of {stands.repositories} cannot be had" if stands.failing else f"{stands.repositories}"
    told = f"{said}; {stands.worst}" if stands.failing else f"{said}, and all of them can be had"
    mend = "mend what it says; meanwhile the last good policy stays in force. `ias-admin gitops status` has the rest"
    figure = Figure("ias_gitops_repositories_failing", stands.failing)
    return [programs, judged(not stands.failing, wrong(NAME, "repositories", told, mend, figure))]
