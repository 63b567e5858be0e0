"""What is said of a thing that Git manages, and the settings of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from ias.identity.values import ManagedBy
from ias.settings import Settings

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
WHERE = "managed by Git: orgs/x/org.yaml:9 of https://git.example.org/p.git; "
NEEDED = {"database_url": "x", "redis_url": "redis://127.0.0.1", "jwt_secret": "x" * 32}


def managed(until: datetime | None = None) -> ManagedBy:
    return ManagedBy(
        repository="https://git.example.org/p.git",
        branch="main",
        path="orgs/x/org.yaml",
        lines={"budgets": 9},
        suspended_until=until,
        suspended_reason="incident 7" if until else "",
    )


def test_what_git_manages_says_where_and_what_comes_of_a_change() -> None:
    assert managed().said(NOW, "users", "budgets") == f"{WHERE}what is changed here is put back"
    assert managed().said(NOW, "users") == ""


def test_while_git_is_left_aside_it_says_until_when_and_why() -> None:
    later = managed(NOW + timedelta(hours=1))
    assert later.said(NOW, "budgets") == f"{WHERE}left aside until 2026-03-15 13:00 UTC (incident 7)"
    assert managed(NOW).said(NOW, "budgets") == managed().said(NOW, "budgets")


def test_folders_are_listed_with_colons_and_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IAS_GITOPS_WEBHOOK_SECRET", raising=False)
    monkeypatch.setenv("IAS_GITOPS_LOCAL", "/srv/git:/srv/more")
    assert Settings(**NEEDED).gitops_local == (Path("/srv/git"), Path("/srv/more"))
    assert Settings(**NEEDED).gitops_webhook_secret.get_secret_value() == ""
    with pytest.raises(ValidationError, match="32 characters"):
        Settings(**NEEDED, gitops_webhook_secret="short")
