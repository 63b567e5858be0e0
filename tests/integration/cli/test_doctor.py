"""`ias-admin doctor` finds what is wrong from where a person sits, and says what to do about it."""

from typing import Any

import httpx
import msgspec
import pytest
from click.testing import Result

from tests.integration.cli.answering import answering
from tests.integration.cli.shell import Shell, token_of
from tests.integration.identity.conftest import Org
from tests.services import free_port

MODELS = b'{"object": "list", "data": [{"id": "llama", "object": "model"}]}'


def findings(result: Result) -> dict[str, dict[str, Any]]:
    return {finding["what"]: finding for finding in msgspec.json.decode(result.stdout)}


@pytest.fixture
def member(shell: Shell, org: Org) -> Shell:
    shell.token = token_of(org.user.client)
    return shell


def test_all_is_well(member: Shell, org: Org) -> None:
    with answering(200, MODELS) as gateway:
        member.more = {"IAS_GATEWAY_URL": gateway, "OPENAI_API_KEY": "ias_x"}
        result = member.run("doctor", "-o", "json")
    found = findings(result)
    assert result.exit_code == 0, result.output
    assert list(found) == ["profile", "api", "clock", "login", "gateway"]
    assert org.user.email in found["login"]["found"]
    assert "llama" in found["gateway"]["found"]
    assert "all is well" in result.stderr


def test_what_is_not_asked_for_is_not_tried(member: Shell) -> None:
    assert "IAS_GATEWAY_URL is not set" in findings(member.run("doctor", "-o", "json"))["gateway"]["found"]
    member.more = {"IAS_GATEWAY_URL": f"http://127.0.0.1:{free_port()}"}
    assert "IAS_API_KEY is not set" in findings(member.run("doctor", "-o", "json"))["gateway"]["found"]


def test_an_api_that_is_away_says_who_said_that_it_is_there(member: Shell) -> None:
    member.api_url = f"http://127.0.0.1:{free_port()}"
    result = member.run("doctor", "-o", "json")
    assert result.exit_code == 9
    assert "IAS_API_URL" in findings(result)["api"]["mend"]


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"{}"), (302, b"")])
def test_something_else_at_the_address_is_told(member: Shell, status: int, body: bytes) -> None:
    with answering(status, body) as member.api_url:
        result = member.run("doctor", "-o", "json")
    assert result.exit_code == 9
    assert "it is not this API" in findings(result)["api"]["found"]


def test_an_api_that_is_not_ready_says_what_it_lacks(member: Shell) -> None:
    body = b'{"status": "not ready", "dependencies": {"postgresql": "ok", "redis": "no answer within 2 s"}}'
    with answering(503, body) as member.api_url:
        result = member.run("doctor", "-o", "json")
    assert result.exit_code == 9
    assert findings(result)["api"]["found"] == "redis: no answer within 2 s"
    assert "ias doctor" in findings(result)["api"]["mend"]


def test_a_clock_that_is_off_is_told(member: Shell) -> None:
    ready = b'{"status": "ok", "dependencies": {}}'
    with answering(200, ready, Date="Thu, 01 Jan 2026 00:00:00 GMT") as member.api_url:
        found = findings(member.run("doctor", "-o", "json"))
    assert not found["clock"]["well"]
    assert "not as this API does" in found["login"]["found"]
    assert "ahead of the server's" in found["clock"]["found"]
    assert "NTP" in found["clock"]["mend"]


def test_a_login_that_is_over_is_told(shell: Shell) -> None:
    assert findings(shell.run("doctor", "-o", "json"))["login"]["found"] == "nobody is logged in"
    shell.token = "nonsense"
    result = shell.run("doctor", "-o", "json")
    assert result.exit_code == 4
    assert "ias-admin login" in findings(result)["login"]["mend"]


@pytest.mark.parametrize(
    ("status", "body", "code", "mend"),
    [
        (401, b"{}", 4, "ias-admin key create"),
        (429, b"{}", 8, "IAS_API_KEY"),
        (200, b"<html>", 9, "IAS_GATEWAY_URL"),
        (200, b'{"data": []}', 1, "ias-admin model create"),
    ],
)
def test_what_is_wrong_with_the_gateway_is_told(member: Shell, status: int, body: bytes, code: int, mend: str) -> None:
    with answering(status, body) as gateway:
        member.more = {"IAS_GATEWAY_URL": f"{gateway}/v1", "IAS_API_KEY": "ias_x"}
        result = member.run("doctor", "-o", "json")
    assert result.exit_code == code
    assert mend in findings(result)["gateway"]["mend"]


def test_a_gateway_that_is_away_is_told(member: Shell) -> None:
    member.more = {"IAS_GATEWAY_URL": f"http://127.0.0.1:{free_port()}", "IAS_API_KEY": "ias_x"}
    result = member.run("doctor", "-o", "json")
    assert result.exit_code == 9
    assert "does not answer" in findings(result)["gateway"]["found"]


def test_the_key_is_shown_to_nobody(member: Shell, root: httpx.Client) -> None:
    with answering(401, b"{}") as gateway:
        member.more = {"IAS_GATEWAY_URL": gateway, "IAS_API_KEY": "ias_secret"}
        assert "ias_secret" not in member.run("doctor").output
