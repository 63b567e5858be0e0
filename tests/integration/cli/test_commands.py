"""Every command ends with the exit code that its table says, and speaks as the OpenAPI document says.

A command without a row fails, and so does a route that no command reaches.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import click
import httpx
import msgspec
import pytest
from click.testing import Result
from ruamel.yaml import YAML

from ias.cli import ias_admin
from ias.client import Client
from ias.db import uuid7
from ias.identity.sessions.throttle import PER_PLACE
from ias.paging import DEFAULT_LIMIT
from ias.terminal.manual import leaves
from tests.integration.cli.shell import Shell, overheard, token_of
from tests.integration.cli.table import APART, TABLE, Place, nowhere
from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_member, new_org
from tests.product.document import Document
from tests.services import free_port

COMMANDS = {
    context.command_path.removeprefix("ias-admin "): context
    for context in leaves(click.Context(ias_admin, info_name="ias-admin"))
}
ROUTES_WITHOUT = {
    ("GET", "/gitops/schema"): "editors, which have no login; `gitops schema` asks nobody",
    ("POST", "/gitops/webhook"): "Git hosts, which sign what they say",
    ("POST", "/organizations/{org_id}/gitops/approve"): "`gitops approve`, which test_cli.py of gitops shows",
    ("GET", "/organizations/{org_id}/gitops/diff"): "`gitops diff`, likewise",
    ("POST", "/auth/login"): "`login`, which test_profiles.py shows",
    ("POST", "/models/{model_id}/test"): "`model test`, which test_trial.py shows",
    ("POST", "/auth/logout"): "`logout`, likewise",
    ("GET", "/me/sessions"): "the page of one's account",
    ("DELETE", "/me/sessions/{session_id}"): "likewise",
    ("POST", "/auth/refresh"): "every command whose session has expired, likewise",
    ("POST", "/users/accept-invite"): "whoever is invited has no login yet, and opens the link",
}
DENIED = [name for name, row in TABLE.items() if row.denied]
MISSING = [name for name, row in TABLE.items() if row.missing]
CONFLICT = [name for name, row in TABLE.items() if row.conflict]


@dataclass
class Ground:
    """An organisation, what there is in it, and shells of its people."""

    place: Place
    home: Path
    api: Api

    def shell(self, who: str) -> Shell:
        org = self.place.whole
        if who == "spare":
            client = new_member(self.api, org.admin.client, org.id).client
        else:
            client = {"root": self.place.root, "admin": org.admin.client, "user": org.user.client}[who]
        return Shell(self.home, self.api.url, token_of(client))


@pytest.fixture(scope="module")
async def ground(api: Api, root: httpx.Client, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    org = new_org(api, root)
    alert = str(uuid7())
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO billing.alerts (id, org_id, period, threshold, limit_tokens, used_tokens, refused)"
            " VALUES ($1, $2, '202601', 80, 100, 85, false)",
            UUID(alert),
            UUID(org.id),
        )
        await connection.execute("SELECT analytics.open_month(now())")
        await connection.execute(
            "INSERT INTO analytics.usage_events (request_id, line, org_id, user_id, key_id, model, endpoint,"
            " prompt_tokens, completion_tokens, cached_tokens, outcome, estimated, lower_bound, streamed, status,"
            " gateway, replica, started_at, settled_at) VALUES ($1, 1, $2, $2, $2, 'm', 'chat', 1, 1, 0, 'completed',"
            " false, false, false, 200, '', '', now(), now())",
            UUID(alert),
            UUID(org.id),
        )
    finally:
        await connection.close()
    return Ground(Place(root, org, alert, api), tmp_path_factory.mktemp("home"), api)


@pytest.fixture(scope="module")
def document(api: Api) -> Document:
    return Document(good(api.anonymous().get("/openapi.json")))


@pytest.fixture(scope="module")
def runs(ground: Ground) -> dict[str, tuple[Result, list[httpx.Response]]]:
    """What each command answered and said."""
    done = {}
    for name, row in TABLE.items():
        words = ground.place.line(name, row.line)
        shell = ground.shell(row.who)
        with overheard() as answers:
            done[name] = (shell.run(*words, stdin=row.stdin), answers)
    return done


def test_every_command_has_a_row() -> None:
    assert TABLE.keys() | APART.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", TABLE)
def test_a_command_that_is_right_ends_with_0(runs: dict[str, tuple[Result, Any]], name: str) -> None:
    result, _ = runs[name]
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.mark.parametrize("name", TABLE)
def test_a_command_speaks_as_the_document_says(runs: dict[str, tuple[Any, Any]], document: Document, name: str) -> None:
    answers = runs[name][1]
    assert answers
    for answer in answers:
        document.check(answer)


def test_every_route_is_reached_by_a_command(runs: dict[str, tuple[Any, Any]], document: Document) -> None:
    reached = {document.check(answer) for _, answers in runs.values() for answer in answers}
    routes = {
        (method.upper(), path.removeprefix("/api/v1")) for path, item in document.paths.items() for method in item
    }
    assert routes - reached == ROUTES_WITHOUT.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_there_is_not_ends_with_2(shell: Shell, name: str) -> None:
    result = shell.run(*name.split(), "--nonsense")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "--nonsense" in result.stderr


@pytest.mark.parametrize("name", TABLE)
def test_without_a_login_a_command_ends_with_4(shell: Shell, name: str) -> None:
    row = TABLE[name]
    result = shell.run(*nowhere(name, row.line), stdin=row.stdin)
    assert result.exit_code == 4, result.output
    assert "ias-admin login" in result.output


@pytest.mark.parametrize("name", TABLE)
def test_with_a_token_that_is_none_a_command_ends_with_4(shell: Shell, name: str) -> None:
    row = TABLE[name]
    shell.token = "nonsense"
    result = shell.run(*nowhere(name, row.line), stdin=row.stdin)
    assert result.exit_code == 4, result.output
    assert "ias-admin login" in result.output


@pytest.mark.parametrize("name", TABLE)
def test_where_nothing_answers_a_command_ends_with_9(tmp_path: Path, name: str) -> None:
    row = TABLE[name]
    away = Shell(tmp_path, f"http://127.0.0.1:{free_port()}", "nonsense")
    result = away.run(*nowhere(name, row.line), stdin=row.stdin)
    assert result.exit_code == 9, result.output
    assert away.api_url in result.output


@pytest.mark.parametrize("name", MISSING)
def test_what_is_not_there_ends_with_5(ground: Ground, name: str) -> None:
    row = TABLE[name]
    result = ground.shell(row.who).run(*nowhere(name, row.line), stdin=row.stdin)
    assert result.exit_code == 5, result.output
    assert "no such" in result.stderr


@pytest.mark.parametrize("name", DENIED)
def test_who_may_not_gets_6(ground: Ground, name: str) -> None:
    row = TABLE[name]
    result = ground.shell(row.denied).run(*ground.place.line(name, row.refused or row.line), stdin=row.stdin)
    assert result.exit_code == 6, result.output
    assert result.stdout == ""


@pytest.mark.parametrize("name", CONFLICT)
def test_what_does_not_fit_ends_with_7(ground: Ground, name: str) -> None:
    row = TABLE[name]
    result = ground.shell(row.who).run(*ground.place.line(name, row.conflict), stdin=row.stdin)
    assert result.exit_code == 7, result.output


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if "--yes" in row.line])
def test_what_cannot_be_undone_is_not_done_unasked(ground: Ground, name: str) -> None:
    row = TABLE[name]
    words = [word for word in ground.place.line(name, row.line) if word != "--yes"]
    with overheard() as answers:
        result = ground.shell(row.who).run(*words)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert answers == []


@pytest.mark.parametrize("name", TABLE)
def test_a_dry_run_changes_nothing(ground: Ground, name: str) -> None:
    row = TABLE[name]
    words = ground.place.line(name, row.line)
    with overheard() as answers:
        result = ground.shell(row.who).run(*words, "--dry-run", stdin=row.stdin)
    assert result.exit_code == 0, result.output
    assert {answer.request.method for answer in answers} <= {"GET"}


def test_limits_that_somebody_else_changes_meanwhile_end_with_7_and_stay(
    ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = f"/organizations/{org.id}/limits", Client.seen

    def interrupted(client: Client, asked: str, kind: type[object]) -> tuple[object, str]:
        answer = seen(client, asked, kind)
        good(org.admin.client.put(path, json={"user_concurrency": 3}))
        return answer

    shell = Shell(ground.home, ground.api.url, token_of(org.admin.client))
    with monkeypatch.context() as patch:
        patch.setattr(Client, "seen", interrupted)
        result = shell.run("org", "limits", "set", "--concurrency", "5")
    assert result.exit_code == 7
    assert "run the command again" in result.stderr
    assert good(org.admin.client.get(path))["user_concurrency"] == 3
    shell.good("org", "limits", "set", "--concurrency", "5")
    in_force = good(org.admin.client.get(path))
    assert (in_force["user_concurrency"], in_force["concurrency"]) == (3, 5)


@pytest.mark.parametrize("name", ["show", "users", "keys", "models", "platform", "platform-models"])
def test_days_of_usage_are_those_of_the_time_zone(ground: Ground, name: str) -> None:
    whose = "root" if name.startswith("platform") else "admin"
    words = ("usage", name, "--from", "2026-01-01", "--to", "2026-01-02", "-o", "json")
    for more, starts, ends in (
        ((), "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        (("--timezone", "Asia/Tokyo"), "2026-01-01T00:00:00+09:00", "2026-01-02T00:00:00+09:00"),
        (
            ("--timezone", "Asia/Tokyo", "--from", "2026-01-01T03:00Z"),
            "2026-01-01T12:00:00+09:00",
            "2026-01-02T00:00:00+09:00",
        ),
    ):
        found = msgspec.json.decode(ground.shell(whose).good(*words, *more))
        assert (found["start"], found["end"]) == (starts, ends), more


def test_login_ends_with_4_where_the_password_is_wrong_and_8_where_it_was_tried_too_often(
    shell: Shell, org: Org
) -> None:
    codes = [
        shell.run("login", "--email", org.user.email, stdin="Wrong-guess-1!\n").exit_code for _ in range(PER_PLACE + 1)
    ]
    assert codes == [4] * PER_PLACE + [8]
    last = shell.run("login", "--email", org.user.email, stdin=f"{PASSWORD}\n")
    assert last.exit_code == 8
    assert "try again in" in last.stderr


def test_login_ends_with_2_without_a_password_and_9_where_nothing_answers(shell: Shell, tmp_path: Path) -> None:
    nothing = shell.run("login", "--email", "a@example.org")
    assert nothing.exit_code == 2
    assert "Password is missing" in nothing.stderr
    away = Shell(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert away.run("login", "--email", "a@example.org", stdin=f"{PASSWORD}\n").exit_code == 9


def test_both_spellings_answer(ground: Ground) -> None:
    for spelled in ("org", "orgs", "user", "users", "key", "keys", "model", "models"):
        assert ground.shell("admin").run(spelled, "list").exit_code == 0, spelled


def test_a_system_admin_is_asked_for_the_organisation(ground: Ground) -> None:
    result = ground.shell("root").run("org", "budget", "show")
    assert result.exit_code == 2
    assert "say which one" in result.stderr


def test_a_change_that_changes_nothing_ends_with_2(ground: Ground) -> None:
    for words in (
        ("org", "budget", "set"),
        ("org", "limits", "set"),
        ("user", "change", ground.place["user"]),
        ("model", "update", ground.place["user"]),
    ):
        result = ground.shell("admin").run(*words)
        assert result.exit_code == 2, words
        assert "at least one option" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        "org budget set --monthly-tokens -1",
        "org budget set --monthly-tokens 1.5",
        "org budget set --monthly-tokens 9223372036854775808",
        "org limits set --burst 0",
        "org limits set --mode nonsense",
        "org thresholds set --at 0",
        "org thresholds set --at 80 --at 80",
        "org models set",
        "org models set --every --model m",
        "org alerts --month 2026-13",
        "usage --from yesterday",
        "usage --from 2026-02-01 --to 2026-01-01",
        "usage --group-by nonsense",
        "ledger lines --limit 0",
        "key create x --expires 2000-01-01",
        "key show nonsense",
        "org list -o nonsense",
    ],
)
def test_a_bad_value_ends_with_2(ground: Ground, words: str) -> None:
    result = ground.shell("admin").run(*words.split())
    assert result.exit_code == 2, result.output
    assert result.stdout == ""


def test_a_list_pages_by_itself(ground: Ground, org: Org) -> None:
    labels = {org.user.key(f"key {number}")["label"] for number in range(DEFAULT_LIMIT + 5)}
    shell = Shell(ground.home, ground.api.url, token_of(org.user.client))
    with overheard() as answers:
        listed = msgspec.json.decode(shell.good("key", "list", "-o", "json"))
    assert {key["label"] for key in listed} == labels
    assert len(answers) == 2


def test_every_form_has_the_same_figures(ground: Ground) -> None:
    shell, words = ground.shell("admin"), ("org", "limits", "show", "-o")
    read = msgspec.json.decode(shell.good(*words, "json"))
    assert YAML(typ="safe", pure=True).load(shell.good(*words, "yaml")) == read
    row = next(csv.DictReader(io.StringIO(shell.good(*words, "csv"))))
    assert row == {name: "" if value is None else str(value) for name, value in read.items()}
    table = dict(line.split() for line in shell.good(*words, "table").splitlines() if len(line.split()) == 2)
    assert table == {name: value for name, value in row.items() if value}
