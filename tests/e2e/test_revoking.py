"""A revoked key: once the API has answered, no gateway lets it in any more, however many there are."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import click
import httpx
import pytest

from tests.product import Person, Product
from tests.product.people import new_org
from tests.product.processes import gateway_process

ROUNDS = 20
BODY = {"model": "mock-gpt", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
WARM, AFTER = 3, 3
"""Requests of each gateway that must be accepted before, and refused afterwards."""


class Caller(threading.Thread):
    """Asks one gateway again and again, until it has been refused a few times; notes when each request began.

    One that was under way while the key was revoked may be cut: that one was neither let in nor refused.
    """

    def __init__(self, url: str, token: str) -> None:
        super().__init__(daemon=True)
        self.url, self.headers = url, {"authorization": f"Bearer {token}"}
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.others: list[str] = []
        self.warm = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            while len(self.refused) < AFTER and not self.others:
                began = time.monotonic()
                answer = client.post("/v1/chat/completions", json=BODY)
                if answer.status_code in (200, 401):
                    (self.accepted if answer.status_code == 200 else self.refused).append(began)
                elif "access_withdrawn" not in answer.text:
                    self.others.append(f"{answer.status_code} {answer.text}")
                if len(self.accepted) >= WARM:
                    self.warm.set()


@pytest.fixture
def gateways(running: Product) -> Iterator[tuple[str, ...]]:
    """The addresses of two gateways."""
    with _second(running) as url:
        yield running.gateway_url, url


@contextmanager
def _second(running: Product) -> Iterator[str]:
    process = gateway_process(running, "second-gateway", {"IAS_GATEWAY_NAME": "second"})
    process.start()
    try:
        process.wait_ready()
        yield f"http://127.0.0.1:{process.env['IAS_GATEWAY_PORT']}"
    finally:
        process.end()


def _revoke_under_traffic(person: Person, gateways: tuple[str, ...]) -> tuple[list[float], list[float], float]:
    """When each gateway let the key in for the last time, in seconds since the API answered, and since it was asked;
    and how long the API took."""
    key = person.issue_key()
    callers = [Caller(url, key["token"]) for url in gateways]
    for caller in callers:
        caller.start()
    for caller in callers:
        assert caller.warm.wait(60), f"the key is not let in: {caller.others}"
    asked = time.monotonic()
    person.api.delete(f"/api-keys/{key['id']}").raise_for_status()
    answered = time.monotonic()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive(), "the key is still let in"
        assert caller.others == []
    last = [max(caller.accepted) for caller in callers]
    return [one - answered for one in last], [one - asked for one in last], answered - asked


def test_nothing_is_let_in_by_any_gateway_once_the_api_has_answered(
    admin: Person, gateways: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    org = new_org(admin)
    rounds = [_revoke_under_traffic(org.user, gateways) for _ in range(ROUNDS)]

    since_answer = [max(0.0, last) * 1000 for answer, _, _ in rounds for last in answer]
    since_asked = [max(0.0, last) * 1000 for _, asked, _ in rounds for last in asked]
    took = [took * 1000 for *_, took in rounds]
    with capsys.disabled():
        for what, of in (
            ("accepted after the API's answer", since_answer),
            ("accepted after the API was asked", since_asked),
            ("the API's answer", took),
        ):
            click.echo(f"revoking, ms: {what}: p50 {median(of):.1f}, worst {max(of):.1f} ({len(of)})")
    assert max(since_answer) == 0
