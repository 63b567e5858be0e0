"""What Git changed is kept for a while; which commit put into force what is in force is kept as long as it is."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from ias.gitops.reconciler import history
from tests.integration.gitops.conftest import Ground
from tests.integration.identity.conftest import Org, good

_RUN = "INSERT INTO gitops.sync_runs (id, org_id, commit, author, subject, changes) VALUES ($1, $2, $3, $4, '', '[]')"
_DRIFT = """
INSERT INTO gitops.drift (id, org_id, field, commit, changed_by_email, changed_at, source)
VALUES ($1, $2, 'spec.budgets', '', '', $3, 'api')
"""


async def test_old_history_is_forgotten_but_for_what_put_into_force_what_is_in_force(
    ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "AT_ONCE", 1)
    now = datetime.now(UTC)

    def at(days: float) -> tuple[UUID, datetime]:
        """An id of so many days ago."""
        moment = now - timedelta(days=days)
        return UUID(int=(int(moment.timestamp() * 1000) << 80) + 1), moment

    runs = [(50, "first", "Ada"), (40, "second", "Ada"), (35, "second", ""), (5, "second", "")]
    for days, commit, author in runs:
        await ground.owner.execute(_RUN, at(days)[0], UUID(org.id), commit, author)
    for days in (50, 40, 5):
        await ground.owner.execute(_DRIFT, at(days)[0], UUID(org.id), at(days)[1])
    assert await history.forget(timedelta(days=30)) == 4
    assert await history.forget(timedelta(days=30)) == 0
    left = good(org.admin.client.get(f"/organizations/{org.id}/gitops/runs"))["items"]
    assert [(run["commit"], run["author"]) for run in left] == [("second", ""), ("second", "Ada")]
    (kept,) = good(org.admin.client.get(f"/organizations/{org.id}/gitops/drift"))["items"]
    assert kept["id"] == str(at(5)[0])
    assert await history.forget(timedelta(days=1)) == 2
