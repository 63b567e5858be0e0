"""Logging in, staying logged in from several shells at once, and logging out, also where things are broken."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import keyring
import msgspec
import pytest
from keyring.backend import KeyringBackend

from ias.client import Client, Tokens
from ias.identity.access import tokens
from ias.problems import ProblemDetails
from ias.terminal import profiles
from ias.terminal.profiles import Profile
from tests.integration.cli.answering import answering
from tests.integration.cli.shell import Shell, overheard, token_of
from tests.integration.identity.conftest import PASSWORD, Api, Org
from tests.product.processes import BIN, SECRET
from tests.services import free_port


class Ring(KeyringBackend):
    """A keyring that works."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def ring() -> Iterator[Ring]:
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture
def logged_in(shell: Shell, org: Org) -> Shell:
    shell.good("login", "--email", org.user.email, stdin=f"{PASSWORD}\n")
    return shell


def kept(shell: Shell, name: str = "default") -> Profile:
    return msgspec.json.decode(shell.profiles.read_bytes(), type=profiles.Profiles).profiles[name]


def at(shell: Shell, api_url: str) -> None:
    """The API is there now, and so is the session that is kept."""
    profile = msgspec.structs.replace(kept(shell), api_url=api_url)
    shell.profiles.write_bytes(msgspec.json.encode(profiles.Profiles({"default": profile})))
    shell.api_url = api_url


def refusal(status: int) -> bytes:
    """The body of an answer with this status."""
    return msgspec.json.encode(ProblemDetails(type="about:blank", title="T", status=status, detail="not now"))


def with_access(shell: Shell, access: str) -> Tokens:
    """Replace the access token that is kept; answers what was there."""
    profile = kept(shell)
    assert profile.tokens is not None
    replaced = msgspec.structs.replace(profile, tokens=Tokens(access, profile.tokens.refresh_token))
    shell.profiles.write_bytes(msgspec.json.encode(profiles.Profiles({"default": replaced})))
    return profile.tokens


def test_a_login_is_kept_where_only_its_owner_can_read_it(logged_in: Shell, org: Org) -> None:
    assert org.user.email in logged_in.good("whoami")
    assert logged_in.profiles.stat().st_mode & 0o777 == 0o600
    assert {file.stat().st_mode & 0o077 for file in logged_in.profiles.parent.iterdir()} == {0}
    assert kept(logged_in).email == org.user.email


def test_a_file_that_others_could_read_is_closed_to_them(logged_in: Shell) -> None:
    logged_in.profiles.chmod(0o644)
    logged_in.good("whoami")
    assert logged_in.profiles.stat().st_mode & 0o777 == 0o600


def test_where_there_is_a_keyring_no_token_is_in_the_file(shell: Shell, org: Org, ring: Ring) -> None:
    shell.good("login", "--email", org.user.email, stdin=f"{PASSWORD}\n")
    assert kept(shell) == Profile(shell.api_url, org.user.email, None, in_keyring=True)
    assert org.user.email in shell.good("whoami")
    shell.good("logout")
    assert ring.kept == {}
    assert shell.run("whoami").exit_code == 4


def test_profiles_keep_logins_apart(shell: Shell, org: Org) -> None:
    for name, member in (("one", org.user), ("two", org.admin)):
        shell.good("login", "--profile", name, "--email", member.email, stdin=f"{PASSWORD}\n")
    assert org.user.email in shell.good("whoami", "--profile", "one")
    shell.more = {"IAS_PROFILE": "two"}
    assert org.admin.email in shell.good("whoami")
    shell.good("logout")
    assert shell.run("whoami").exit_code == 4
    assert org.user.email in shell.good("whoami", "--profile", "one")


def test_the_address_is_remembered_and_an_option_wins_over_the_environment(logged_in: Shell) -> None:
    address, away = logged_in.api_url, f"http://127.0.0.1:{free_port()}"
    logged_in.api_url = ""
    logged_in.good("whoami")
    logged_in.api_url = away
    assert away in logged_in.run("whoami").stderr
    logged_in.good("whoami", "--api-url", address)
    logged_in.good("whoami", "--api-url", f"{address}/")


def test_a_session_is_shown_to_no_address_but_the_one_that_it_is_of(logged_in: Shell) -> None:
    with answering(401, refusal(401)) as other, overheard() as answers:
        done = logged_in.run("whoami", "--api-url", other)
        ended = logged_in.run("logout", "--api-url", other)
    assert (done.exit_code, ended.exit_code, answers) == (4, 4, [])
    assert f"not logged in to {other}; run `ias-admin login --api-url {other}`" in done.stderr
    logged_in.good("whoami")


def test_a_session_that_another_shell_has_begun_elsewhere_meanwhile_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profiles.save("default", Profile("https://b.example.org", "", Tokens("new", "new")))
    asked: list[Tokens] = []
    old = Tokens("old", "old")
    assert profiles.renew("default", "https://a.example.org", old, asked.append) is None
    assert asked == []
    assert profiles.renew("default", "https://b.example.org/", old, asked.append) == Tokens("new", "new")


def test_a_session_whose_access_token_has_expired_goes_on(logged_in: Shell, org: Org) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    expired = tokens.issue(tokens.Access(UUID(org.user.id), UUID(int=7)), SECRET, long_ago)
    before = with_access(logged_in, expired)
    assert org.user.email in logged_in.good("whoami")
    after = kept(logged_in).tokens
    assert after is not None
    assert after.access_token != expired
    assert after.refresh_token != before.refresh_token
    logged_in.good("whoami")


def test_an_export_too_renews_a_session(shell: Shell, org: Org) -> None:
    shell.good("login", "--email", org.admin.email, stdin=f"{PASSWORD}\n")
    with_access(shell, "expired")
    assert "invite" in shell.good("audit", "export")


def test_a_session_that_is_over_says_to_log_in(logged_in: Shell) -> None:
    old = with_access(logged_in, "expired")
    logged_in.good("whoami")
    profile = msgspec.structs.replace(kept(logged_in), tokens=Tokens("expired", old.refresh_token))
    logged_in.profiles.write_bytes(msgspec.json.encode(profiles.Profiles({"default": profile})))
    result = logged_in.run("whoami")
    assert result.exit_code == 4
    assert "ias-admin login" in result.stderr


def test_many_who_renew_one_session_at_once_do_not_end_it(
    logged_in: Shell, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_access(logged_in, "expired")
    start = kept(logged_in).tokens
    monkeypatch.setenv("XDG_CONFIG_HOME", str(logged_in.home))

    def asked(_: int) -> str:
        client = Client(
            logged_in.api_url, start, lambda old, exchange: profiles.renew("default", logged_in.api_url, old, exchange)
        )
        try:
            return client.get("/me", dict[str, object])["email"]
        finally:
            client.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(asked, range(16))) == {org.user.email}
    logged_in.good("whoami")


def test_shells_that_renew_one_session_at_once_do_not_end_it(logged_in: Shell, org: Org) -> None:
    with_access(logged_in, "expired")
    env = {name: value for name, value in logged_in.env().items() if value} | {"PATH": str(BIN)}
    shells = [
        subprocess.Popen(
            [BIN / "ias-admin", "whoami"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [shell.communicate(timeout=120) for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0, 0], said
    logged_in.good("whoami")


def test_a_token_of_the_environment_is_used_and_not_kept(shell: Shell, api: Api, org: Org) -> None:
    answer = api.anonymous().post("/auth/login", json={"email": org.user.email, "password": PASSWORD})
    shell.token = answer.json()["access_token"]
    assert org.user.email in shell.good("whoami")
    assert not shell.profiles.exists()


def test_logging_out_ends_the_session_on_the_server(logged_in: Shell) -> None:
    session = kept(logged_in).tokens
    assert "logged out" in logged_in.run("logout").stderr
    assert kept(logged_in).tokens is None
    assert logged_in.run("whoami").exit_code == 4
    assert session is not None
    logged_in.token = session.access_token
    assert logged_in.run("whoami").exit_code == 4


def test_logging_out_forgets_the_session_where_the_server_is_away(logged_in: Shell) -> None:
    at(logged_in, f"http://127.0.0.1:{free_port()}")
    result = logged_in.run("logout")
    assert result.exit_code == 0
    assert "forgotten here" in result.stderr
    assert kept(logged_in).tokens is None


def test_logging_out_forgets_a_session_that_has_ended_already(logged_in: Shell) -> None:
    with_access(logged_in, "expired")
    broken = msgspec.structs.replace(kept(logged_in), tokens=Tokens("expired", "nonsense"))
    logged_in.profiles.write_bytes(msgspec.json.encode(profiles.Profiles({"default": broken})))
    assert logged_in.run("logout").exit_code == 0
    assert kept(logged_in).tokens is None


@pytest.mark.parametrize(("status", "code"), [(503, 9), (429, 8), (500, 1)])
def test_logging_out_keeps_a_session_that_the_server_does_not_end(logged_in: Shell, status: int, code: int) -> None:
    before = kept(logged_in).tokens
    with answering(status, refusal(status)) as away:
        at(logged_in, away)
        done = logged_in.run("logout")
    assert (done.exit_code, "logged out" in done.stderr) == (code, False)
    assert "not now" in done.stderr
    assert kept(logged_in).tokens == before


def test_a_session_that_cannot_be_renewed_just_now_is_not_said_to_be_over(logged_in: Shell) -> None:
    before = kept(logged_in).tokens
    with answering(401, refusal(401), {"/api/v1/auth/refresh": (503, refusal(503))}) as busy:
        at(logged_in, busy)
        for words in ("whoami", "logout"):
            done = logged_in.run(words)
            assert (done.exit_code, "not now" in done.stderr, "log in" in done.stderr) == (9, True, False), words
    assert kept(logged_in).tokens == before


def test_logging_out_with_a_token_of_the_environment_ends_that_session_alone(
    logged_in: Shell, org: Org, api: Api
) -> None:
    before = kept(logged_in).tokens
    logged_in.token = token_of(api.login(org.admin.email))
    done = logged_in.run("logout")
    assert done.exit_code == 0
    assert "IAS_ACCESS_TOKEN" in done.stderr
    assert logged_in.run("logout").exit_code == 4
    with answering(503, b"<html>") as logged_in.api_url:
        done = logged_in.run("logout")
    assert (done.exit_code, "forgotten" in done.stderr) == (9, False)
    assert kept(logged_in).tokens == before
    logged_in.token, logged_in.api_url = "", api.url
    assert org.user.email in logged_in.good("whoami")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"profiles": 7}', b"\xff\xfe", b'{"profiles": {"default": {}}}'])
def test_a_damaged_file_is_one_sentence(shell: Shell, text: bytes) -> None:
    shell.profiles.parent.mkdir(parents=True)
    shell.profiles.write_bytes(text)
    for words in (("whoami",), ("logout",), ("org", "list")):
        result = shell.run(*words)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert "is damaged" in result.stderr
        assert str(shell.profiles) in result.stderr


def test_a_folder_that_cannot_be_made_is_one_sentence(shell: Shell, org: Org) -> None:
    shell.home = shell.home / "file"
    shell.home.write_text("")
    result = shell.run("login", "--email", org.user.email, stdin=f"{PASSWORD}\n")
    assert result.exit_code == 1
    assert "XDG_CONFIG_HOME" in result.stderr
    assert result.stderr.count("\n") == 1


def test_many_who_write_at_once_lose_nothing_of_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def write(number: int) -> None:
        profiles.save(f"profile-{number}", Profile("http://127.0.0.1:1", f"{number}@example.org", Tokens("a", "b")))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    every = msgspec.json.decode((tmp_path / "ias" / "profiles.json").read_bytes(), type=profiles.Profiles)
    assert len(every.profiles) == 24
    assert sorted(file.name for file in (tmp_path / "ias").iterdir()) == ["profiles.json", "profiles.lock"]
