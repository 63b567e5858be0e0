"""The api process itself: bootstrap, health, errors in one form, Redis gone and back, a graceful end."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest
import redis

from ias.contract.admission import models
from ias.contract.keys import fingerprint
from tests.integration.identity.conftest import PASSWORD, ROOT, Api, Org, environment, good, new_org, running
from tests.services import Services
from tests.services.service import Service


@pytest.fixture
def own_redis(services: Services) -> Iterator[Service]:
    with services.fresh("redis") as ours:
        yield ours


@pytest.fixture
def breakable(services: Services, migrated: str, own_redis: Service, tmp_path: Path) -> Iterator[Api]:
    """An api with a Redis that may be harmed."""
    with services.database(migrated) as url:
        env = environment(url, own_redis.url)
        with running(tmp_path, env) as api:
            yield api


@pytest.fixture
def slow(services: Services, migrated: str, tmp_path: Path) -> Iterator[Api]:
    """An api whose logins take a while, to be ended by the test."""
    with services.database(migrated) as url:
        env = environment(url, services.redis_url) | {"IAS_BCRYPT_COST": "12"}
        with running(tmp_path, env) as api:
            yield api


def probe(api: Api, path: str) -> httpx.Response:
    return httpx.get(api.url + path, timeout=30, trust_env=False)


def log(api: Api) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in api.process.log.read_bytes().splitlines()]


def test_a_ready_process_names_each_dependency(api: Api) -> None:
    assert probe(api, "/health").json() == {"status": "ok"}
    states = {"postgresql": "ok", "redis": "ok", "function library": "ok", "migrations": "ok"}
    assert probe(api, "/ready").json() == {"status": "ok", "dependencies": states}


def test_metrics_count_requests_by_route_and_not_by_id(api: Api, org: Org) -> None:
    good(org.admin.client.get(f"/users/{org.user.id}"))
    text = probe(api, "/metrics").text
    assert 'ias_http_requests_total{method="GET",route="/api/v1/users/{user_id}",status="200"}' in text
    assert "ias_http_request_duration_seconds_bucket" in text
    assert org.user.id not in text


def test_every_line_of_the_log_is_json_and_has_no_secret(api: Api, org: Org) -> None:
    token = org.user.key()["token"]
    api.anonymous().get("/me", headers={"x-request-id": "find-me", "authorization": f"Bearer {token}"})
    lines = log(api)
    assert all({"time", "level", "event", "process"} <= line.keys() for line in lines)
    mine = [line for line in lines if line.get("request_id") == "find-me"]
    assert [(line["path"], line["status"]) for line in mine] == [("/api/v1/me", 401)]
    assert token not in api.process.log.read_text()
    assert PASSWORD not in api.process.log.read_text()


@pytest.mark.parametrize("asked", ["a" * 65, "a b", "a;b", ""])
def test_a_request_id_that_is_not_plain_is_replaced(api: Api, asked: str) -> None:
    given = httpx.get(f"{api.url}/health", headers={"x-request-id": asked}, trust_env=False).headers["x-request-id"]
    assert given
    assert given != asked


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/me", 405), ("GET", "/me", 401), ("POST", "/auth/login", 400)],
)
def test_every_failure_has_the_same_form(api: Api, method: str, path: str, status: int) -> None:
    answer = api.anonymous().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["instance"]) == (status, f"/api/v1{path}")
    assert body["request_id"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} <= body.keys()


def test_whoever_holds_a_body_back_is_asked_who_they_are_when_it_has_come(
    api: Api, org: Org, root: httpx.Client
) -> None:
    body = msgspec.json.encode({"label": "held back"})
    token = org.user.client.headers["authorization"]
    head = (
        f"POST /api/v1/api-keys HTTP/1.1\r\nhost: api\r\nauthorization: {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection((httpx.URL(api.url).host, httpx.URL(api.url).port or 80), timeout=30) as held:
        held.sendall(head.encode() + body[:3])
        good(root.delete(f"/users/{org.user.id}"))
        held.sendall(body[3:])
        assert held.makefile("rb").readline().startswith(b"HTTP/1.1 401")


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer = api.anonymous().post("/auth/login", content=b"x" * 2_000_000, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_the_openapi_document_describes_every_route_and_asks_for_nothing(api: Api) -> None:
    document = api.anonymous().get("/openapi.json")
    assert document.status_code == 200
    whole = document.json()
    assert whole["openapi"].startswith("3.1")
    assert {"/api/v1/auth/login", "/api/v1/api-keys", "/api/v1/organizations", "/api/v1/audit-logs"} <= set(
        whole["paths"]
    )


def test_bootstrap_makes_a_system_admin_once(api: Api) -> None:
    again = api.command(
        "ias-admin", "bootstrap", "create-super-admin", f"--email={ROOT.upper()}", stdin=f"{PASSWORD}\n"
    )
    assert again.returncode == 7
    assert again.stderr == f"error: {ROOT.upper()} has an account already; nothing was changed\n"


def test_bootstrap_refuses_a_weak_password_and_warns_of_one_on_the_command_line(api: Api) -> None:
    made = api.command("ias-admin", "bootstrap", "create-super-admin", "--email=second@example.org", "--password=weak")
    assert made.returncode == 1
    assert made.stderr.startswith("warning: --password shows")
    assert "at least 12 characters" in made.stderr
    assert made.stdout == ""


def test_bad_settings_are_named_line_by_line_without_their_values(api: Api) -> None:
    bad = Api(api.process, dict(api.env) | {"IAS_JWT_SECRET": "too-short", "IAS_API_PORT": "seventy"})
    told = bad.command("ias", "api")
    assert told.returncode == 1
    assert "IAS_JWT_SECRET" in told.stderr
    assert "IAS_API_PORT" in told.stderr
    assert "too-short" not in told.stderr
    assert "Traceback" not in told.stderr


def test_a_database_that_does_not_answer_is_one_line_and_exit_code_9(api: Api) -> None:
    down = Api(api.process, dict(api.env) | {"IAS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"})
    told = down.command("ias", "api")
    assert told.returncode == 9
    assert told.stderr.startswith("error: PostgreSQL does not answer")
    assert told.stderr.count("\n") == 1


def test_with_redis_away_nothing_is_promised_and_a_second_try_makes_it_good(breakable: Api, own_redis: Service) -> None:
    breakable_root = breakable.login(ROOT)
    org = new_org(breakable, breakable_root)
    key = org.user.key()
    own_redis.kill()
    ready = probe(breakable, "/ready")
    assert ready.status_code == 503
    assert ready.json()["dependencies"]["postgresql"] == "ok"
    assert ready.json()["dependencies"]["redis"].startswith("Redis does not answer")
    refused = org.user.client.delete(f"/api-keys/{key['id']}")
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert org.user.client.get("/api-keys").status_code == 200, "reading needs no Redis"
    own_redis.start()
    good(org.user.client.delete(f"/api-keys/{key['id']}"))
    edge = redis.Redis.from_url(own_redis.url)
    assert edge.execute_command(*models(org.tag, fingerprint(key["token"])))[0] == b"key"
    entries = good(org.admin.client.get("/audit-logs", params={"action": "key.revoked"}))["items"]
    assert len(entries) == 1


def test_an_emptied_redis_is_filled_again_by_a_rebuild(breakable: Api, own_redis: Service) -> None:
    org = new_org(breakable, breakable.login(ROOT))
    kept, revoked, theirs = org.user.key()["token"], org.user.key(), org.other.key()["token"]
    good(org.user.client.delete(f"/api-keys/{revoked['id']}"))
    good(org.admin.client.patch(f"/users/{org.other.id}", json={"status": "suspended"}))
    edge = redis.Redis.from_url(own_redis.url)
    edge.flushall()
    assert breakable.command("ias", "projection", "rebuild").returncode == 0
    verdicts = [
        edge.execute_command(*models(org.tag, fingerprint(token)))[0] for token in (kept, revoked["token"], theirs)
    ]
    assert verdicts == [b"ok", b"key", b"suspended"]


def test_sigterm_lets_what_is_under_way_finish_and_says_so_first(slow: Api) -> None:

    def login(_: int) -> int:
        sent = {"email": ROOT, "password": PASSWORD}
        return slow.anonymous().post("/auth/login", json=sent).status_code

    with ThreadPoolExecutor(8) as threads:
        under_way = [threads.submit(login, number) for number in range(8)]
        until = time.monotonic() + 30
        while in_flight(slow) + sum(each.done() for each in under_way) < 8:
            assert time.monotonic() < until, "they do not come"
        slow.process.signal(signal.SIGTERM)
        codes = [each.result() for each in under_way]
    assert set(codes) == {200}
    assert slow.process.child is not None
    assert slow.process.child.wait(30) == 0
    assert any(line["event"] == "draining" for line in log(slow))


def in_flight(api: Api) -> int:
    """Requests under way, but for the one that asks."""
    found = re.search(r"^ias_http_requests_in_flight (\S+)$", probe(api, "/metrics").text, re.MULTILINE)
    assert found
    return round(float(found[1])) - 1


def test_ready_refuses_while_the_process_drains(slow: Api) -> None:
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: api\r\ncontent-length: 100\r\n\r\n{"
    url = httpx.URL(slow.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as held:  # it drains until that is over
        held.sendall(head)
        until = time.monotonic() + 30
        while in_flight(slow) < 1:
            assert time.monotonic() < until, "it does not come"
        slow.process.signal(signal.SIGTERM)
        answer = probe(slow, "/ready")
        while answer.json()["status"] != "draining":
            answer = probe(slow, "/ready")
    assert answer.status_code == 503
    assert slow.process.child is not None
    assert slow.process.child.wait(30) == 0
