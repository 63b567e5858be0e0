"""What the API's document shows of bindings."""

from datetime import timedelta

from ias import acme
from ias.gitops.bindings.api import Taken
from ias.gitops.bindings.domain import Approval, Drift, NewBinding, Run, State, Status, Suspension
from ias.gitops.plans.domain import Change

_COMMIT = "8f3c2b1a9d7e6f5041c2b3a495867d0e1f2a3b4c"
_REPOSITORY = "https://git.acme.example/platform/policies.git"
_CHANGE = Change(field="spec.budgets.monthly_tokens", before=8_000_000, after=10_000_000)

EXAMPLES = (
    Approval(commit=_COMMIT),
    Drift(
        id=acme.ENTRY,
        field="spec.budgets.monthly_tokens",
        wanted=10_000_000,
        found=12_000_000,
        commit=_COMMIT,
        changed_by=acme.ADAS_ADDRESS,
        changed_at=acme.LATER,
        source="cli",
        restored_at=acme.LATER + timedelta(seconds=21),
    ),
    NewBinding(repository=_REPOSITORY, branch="main", token="a token that may read it"),  # noqa: S106 - an example
    Run(
        id=acme.SESSION,
        commit=_COMMIT,
        author="Ada Lovelace",
        subject="More tokens for January",
        changes=[_CHANGE],
        ran_at=acme.LATER,
    ),
    Status(
        org_id=acme.ORGANISATION,
        repository=_REPOSITORY,
        branch="main",
        path="orgs/Acme Research/org.yaml",
        state=State.IN_FORCE,
        commit=_COMMIT,
        applied_commit=_COMMIT,
        applied_at=acme.LATER,
        applied_by="Ada Lovelace",
        lines={"spec.budgets": 6},
        fetched_at=acme.LATER,
        error="",
        faults=[],
        held_for=[],
        suspended=None,
        expected=[],
        enabled_by=acme.ADAS_ADDRESS,
        enabled_at=acme.CREATED,
    ),
    Suspension(reason="moving to another Git server", until=acme.MONTH_ENDS),
    Taken(repositories=1),
)
