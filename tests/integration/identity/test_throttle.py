"""Guessing passwords is slowed down, and nobody else is locked out by it; hashes follow the setting."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from uuid import uuid4

import asyncpg
import httpx
import pytest

from ias.identity.sessions.throttle import PER_ACCOUNT, PER_CLIENT, PER_PLACE
from tests.integration.identity.conftest import PASSWORD, ROOT, Api, Org, environment, good, new_org, running
from tests.services import Services


def tried(api: Api, email: str, password: str, **headers: str) -> httpx.Response:
    return api.anonymous().post("/auth/login", json={"email": email, "password": password}, headers=headers)


def test_guessing_at_an_account_is_stopped_and_told_when_to_come_back(api: Api, org: Org) -> None:
    answers = [tried(api, org.user.email, f"Wrong-guess-{turn}!") for turn in range(PER_PLACE + 1)]
    assert [answer.status_code for answer in answers] == [401] * PER_PLACE + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 900
    assert tried(api, org.user.email, PASSWORD).status_code == 429, "not even the right one is looked at"
    assert tried(api, org.other.email, PASSWORD).status_code == 200, "others at the same place are let in"


def test_an_unknown_address_is_slowed_down_as_a_known_one(api: Api) -> None:
    email = f"{uuid4().hex}@example.org"
    answers = [tried(api, email, f"Wrong-guess-{turn}!").status_code for turn in range(PER_PLACE + 1)]
    assert answers == [401] * PER_PLACE + [429]


def test_somebody_who_logs_in_begins_to_count_anew(api: Api, org: Org) -> None:
    for _ in range(2):
        for turn in range(PER_PLACE - 1):
            assert tried(api, org.user.email, f"Wrong-guess-{turn}!").status_code == 401
        assert tried(api, org.user.email, PASSWORD).status_code == 200


def test_whoever_holds_a_session_guesses_at_its_password_no_more_often(api: Api, org: Org) -> None:
    def change(current: str) -> int:
        sent = {"current_password": current, "new_password": "Another-good-1!"}
        return int(org.user.client.put("/me/password", json=sent).status_code)

    answers = [change(f"Wrong-guess-{turn}!") for turn in range(PER_PLACE + 1)]
    assert answers == [401] * PER_PLACE + [429]
    assert change(PASSWORD) == 429, "not even the right one is looked at"


def test_nobody_counts_anew_by_saying_another_address(api: Api, org: Org) -> None:
    answers = [
        tried(api, org.user.email, "Wrong-guess-1!", **{"x-forwarded-for": f"10.0.0.{turn}"}).status_code
        for turn in range(PER_PLACE + 1)
    ]
    assert answers[-1] == 429


@contextmanager
def another(
    api: Api, services: Services, database_url: str, tmp_path_factory: pytest.TempPathFactory, **extra: str
) -> Iterator[Api]:
    """A second instance of the same deployment, with other settings."""
    env = environment(database_url, services.redis_url) | extra
    with running(tmp_path_factory.mktemp("other"), env) as other:
        yield other


async def stored(database_url: str, email: str) -> str:
    connection = await asyncpg.connect(database_url)
    try:
        return str(await connection.fetchval("SELECT password_hash FROM identity.users WHERE email = $1", email))
    finally:
        await connection.close()


async def test_behind_a_trusted_proxy_each_client_counts_by_itself(
    api: Api, services: Services, database_url: str, org: Org, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trusted = {"IAS_TRUSTED_PROXIES": "127.0.0.0/8"}
    with another(api, services, database_url, tmp_path_factory, **trusted) as other:
        for turn in range(PER_PLACE + 1):
            last = tried(other, org.user.email, f"Wrong-guess-{turn}!", **{"x-forwarded-for": "203.0.113.9"})
        assert last.status_code == 429
        assert tried(other, org.user.email, PASSWORD, **{"x-forwarded-for": "203.0.113.8"}).status_code == 200
        # What the client itself put in front is not believed.
        forged = {"x-forwarded-for": "203.0.113.8, 203.0.113.9"}
        assert tried(other, org.user.email, PASSWORD, **forged).status_code == 429


@pytest.fixture(scope="module")
def proxied(api: Api, services: Services, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The same deployment behind a proxy that tells clients' addresses."""
    trusted = {"IAS_TRUSTED_PROXIES": "127.0.0.0/8"}
    with another(api, services, database_url, tmp_path_factory, **trusted) as other:
        yield other


def come_from(api: Api, org: Org, password: str, place: str) -> int:
    """The answer to a login from an address."""
    return tried(api, org.user.email, password, **{"x-forwarded-for": place}).status_code


def test_whoever_has_a_network_of_addresses_counts_as_one(proxied: Api, org: Org) -> None:
    answers = [come_from(proxied, org, "Wrong-guess-1!", f"2001:db8:0:1:{turn:x}::1") for turn in range(PER_PLACE + 1)]
    assert answers == [401] * PER_PLACE + [429]
    assert come_from(proxied, org, PASSWORD, "2001:db8:0:2::1") == 200, "the next network is somebody else's"


def test_an_address_is_the_same_one_however_it_is_written(proxied: Api, org: Org) -> None:
    places = ["203.0.113.7", "::ffff:203.0.113.7", "2002:cb00:7107::1"] * PER_PLACE
    answers = [come_from(proxied, org, "Wrong-guess-1!", place) for place in places[: PER_PLACE + 1]]
    assert answers == [401] * PER_PLACE + [429]


def test_who_has_been_guessed_at_is_let_in_once_an_admin_has_reset_the_password(
    proxied: Api, root: httpx.Client, org: Org
) -> None:
    places = [f"198.51.100.{number}" for number in range(PER_ACCOUNT // PER_PLACE)]
    guesses = [come_from(proxied, org, "Wrong-guess-1!", place) for place in places for _ in range(PER_PLACE)]
    assert guesses == [401] * PER_ACCOUNT
    assert come_from(proxied, org, PASSWORD, "192.0.2.1") == 429, "from nowhere, with the right password either"
    good(root.post(f"/users/{org.user.id}/reset-password", json={"new_password": "Another-battery-9-staple"}))
    assert come_from(proxied, org, "Another-battery-9-staple", places[0]) == 200
    assert come_from(proxied, org, "Another-battery-9-staple", "192.0.2.1") == 200


def test_who_tries_too_much_from_one_address_is_not_told_that_an_admin_helps(proxied: Api, org: Org) -> None:
    for _ in range(PER_CLIENT):
        come_from(proxied, org, "Wrong-guess-1!", "2001:db8:0:3::1")
    answer = tried(proxied, org.other.email, PASSWORD, **{"x-forwarded-for": "2001:db8:0:3::2"})
    assert answer.status_code == 429
    assert answer.json()["detail"] == "too many attempts to log in from this address; wait"


async def test_a_password_is_hashed_anew_when_the_setting_has_changed(
    api: Api, services: Services, database_url: str, root: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    org = new_org(api, root)
    assert (await stored(database_url, org.user.email)).startswith("$2b$04$")
    argon = {"IAS_HASH_PASSWORDS_WITH": "argon2id"}
    with another(api, services, database_url, tmp_path_factory, **argon) as other:
        assert tried(other, org.user.email, "Wrong-guess-1!").status_code == 401
        assert (await stored(database_url, org.user.email)).startswith("$2b$04$"), "a wrong one changes nothing"
        assert tried(other, org.user.email, PASSWORD).status_code == 200
        digest = await stored(database_url, org.user.email)
        assert digest.startswith("$argon2id$")
        assert tried(other, org.user.email, PASSWORD).status_code == 200
        assert tried(other, org.user.email, PASSWORD + "x").status_code == 401
        assert await stored(database_url, org.user.email) == digest, "what is as it should be stays"
        client = other.login(org.other.email)
        good(client.get("/me"))
    assert tried(api, org.user.email, PASSWORD).status_code == 200, "the other instance still knows it"
    assert (await stored(database_url, org.user.email)).startswith("$2b$04$")


def test_two_hundred_logins_at_once_wait_or_are_sent_back_and_slow_nothing_else(
    api: Api, services: Services, database_url: str, org: Org, tmp_path_factory: pytest.TempPathFactory
) -> None:
    as_deployed = {"IAS_BCRYPT_COST": "12", "IAS_TRUSTED_PROXIES": "127.0.0.0/8"}
    own = threading.local()  # httpx's pool may close under one thread what another has just taken
    with another(api, services, database_url, tmp_path_factory, **as_deployed) as other:

        def begin() -> None:
            own.client = other.anonymous()

        def attempt(number: int) -> tuple[float, httpx.Response]:
            sent, place = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}, f"203.0.113.{number}"
            began = time.monotonic()
            answer = own.client.post("/auth/login", json=sent, headers={"x-forwarded-for": place})
            return time.monotonic() - began, answer

        client = other.anonymous()
        client.headers["authorization"] = org.user.client.headers["authorization"]
        reads: list[float] = []
        with ThreadPoolExecutor(60, initializer=begin) as threads:
            flood = [threads.submit(attempt, number) for number in range(200)]
            while not all(each.done() for each in flood):
                began = time.monotonic()
                good(client.get("/me"))
                reads.append(time.monotonic() - began)
        logins = [each.result() for each in flood]
    assert {answer.status_code for _, answer in logins} <= {401, 429, 503}
    sent_back = [answer for _, answer in logins if answer.status_code != 401]
    assert sent_back, "the queue of passwords has an end"
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in sent_back)
    waited = max(took for took, answer in logins if answer.status_code == 401)
    assert median(reads) < waited / 4, "who asks for something else does not stand in the queue of passwords"


def test_an_unknown_address_costs_as_much_work_as_a_known_one(
    api: Api, services: Services, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    as_deployed = {"IAS_BCRYPT_COST": "12", "IAS_TRUSTED_PROXIES": "127.0.0.0/8"}
    with another(api, services, database_url, tmp_path_factory, **as_deployed) as other:
        somebody = new_org(other, other.login(ROOT)).user.email

        def work(email: str) -> float:
            """Processor time, which no other load of this machine adds to."""
            before = _processor_time(other)
            for number in range(4):
                headers = {"x-forwarded-for": f"198.51.100.{number}"}
                assert tried(other, email, "Wrong-guess-1!", **headers).status_code == 401
            return _processor_time(other) - before

        work("nobody@example.org")
        known, unknown = work(somebody), work(f"{uuid4().hex}@example.org")
    assert 0.5 < unknown / max(known, 0.01) < 2


def _processor_time(api: Api) -> float:
    text = httpx.get(f"{api.url}/metrics", trust_env=False).text
    return float(next(line for line in text.splitlines() if line.startswith("process_cpu_seconds_total ")).split()[1])
