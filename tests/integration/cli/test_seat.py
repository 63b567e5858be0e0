"""What somebody at a terminal sees and is asked: within its width, nothing broken that they copy, all by consent."""

from pathlib import Path

import pytest

from tests.integration.cli.seat import sat
from tests.integration.cli.shell import Shell, token_of
from tests.integration.identity.conftest import PASSWORD, Org, good


@pytest.fixture
def seat(shell: Shell, org: Org) -> Shell:
    """Of an org user."""
    return Shell(shell.home, shell.api_url, token_of(org.user.client))


def test_what_is_wrong_is_told_within_80_columns(tmp_path: Path) -> None:
    seen = sat(Shell(tmp_path, "http://127.0.0.1:1"), "doctor")
    assert seen.code == 9
    assert seen.text.split()[:4] == ["what", "well", "found", "mend"]
    assert max(len(line.rstrip()) for line in seen.text.splitlines()) <= 80
    assert "IAS_API_URL" in seen.text


def test_a_new_token_can_be_copied(seat: Shell) -> None:
    seen = sat(seat, "key", "create", "laptop")
    assert seen.code == 0, seen.text
    (token,) = [word for word in seen.text.split() if word.startswith("ias_") and len(word) > 40]
    assert len(token.split("_")) == 4


def test_ids_in_a_list_can_be_copied(seat: Shell, org: Org) -> None:
    keys = [org.user.key()["id"] for _ in range(3)]
    seen = sat(seat, "key", "list")
    assert all(key in seen.text for key in keys)
    assert max(len(line.rstrip()) for line in seen.text.splitlines()) <= 80


def test_an_empty_list_says_so(seat: Shell, org: Org) -> None:
    assert "there are none" in sat(seat, "org", "alerts").text


def test_who_says_no_changes_nothing_and_who_says_yes_does(seat: Shell, org: Org) -> None:
    key = org.user.key()["id"]
    refused = sat(seat, "key", "revoke", key, typed={"revoke key": "n"})
    assert (refused.code, "nothing was changed" in refused.text) == (1, True)
    assert good(org.user.client.get(f"/api-keys/{key}"))["revoked_at"] is None
    agreed = sat(seat, "key", "revoke", key, typed={"revoke key": "y"})
    assert agreed.code == 0, agreed.text
    assert good(org.user.client.get(f"/api-keys/{key}"))["revoked_at"] is not None


def test_with_no_input_nobody_is_asked(seat: Shell, org: Org) -> None:
    key = org.user.key()["id"]
    seen = sat(seat, "key", "revoke", key, "--no-input")
    assert (seen.code, "--yes" in seen.text, "[y/N]" in seen.text) == (2, True, False)
    login = sat(seat, "login", "--email", org.user.email, "--no-input")
    assert (login.code, "Password is missing" in login.text) == (2, True)


def test_a_password_that_is_typed_is_not_shown(shell: Shell, org: Org) -> None:
    seen = sat(shell, "login", typed={"E-mail": org.user.email, "Password": PASSWORD}, IAS_PROFILE="work")
    assert seen.code == 0, seen.text
    assert PASSWORD not in seen.text
    assert sat(shell, "whoami", IAS_PROFILE="work").code == 0
    assert sat(shell, "whoami").code == 4
