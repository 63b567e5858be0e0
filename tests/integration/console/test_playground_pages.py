"""The playground on a real gateway with a mock engine: whole answers without JavaScript, streams that end when left."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import msgspec
import pytest

from tests.integration.console.browser import Browser
from tests.integration.identity.conftest import PASSWORD, ROOT, Api, Org, environment, good, new_org, running
from tests.product.processes import BIN, SECRET, Process
from tests.services import Services, free_port

EVIL = "<script>alert(1)</script>"
MOCK = "mock-gpt"
SLOW = "[[mock tokens=400 delay_ms=50]]"


@dataclass
class Place:
    """An api process and a gateway with an engine, which share nothing with other tests."""

    api: Api
    root: httpx.Client
    org: Org
    control: str
    base_url: str

    @property
    def page(self) -> str:
        return f"/orgs/{self.org.id}/playground"

    def visit(self) -> Browser:
        """A user's browser on the playground, with a key."""
        browser = Browser(self.api.url)
        browser.login(self.org.user.email, PASSWORD)
        browser.open(self.page)
        browser.press("Make a key for an hour")
        assert browser.status == 200, browser.answer.text
        return browser

    def oracle(self) -> list[dict[str, Any]]:
        """What the engine wrote, request by request, as they ended."""
        return good(httpx.get(f"{self.control}/log", timeout=10))


@pytest.fixture(scope="module")
def place(services: Services, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("playground")
    ports = [free_port() for _ in range(4)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with services.database(migrated) as database, services.fresh("redis") as redis:
        env = environment(database, redis.url) | {
            "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
            "IAS_CACHE_SALT_SECRET": SECRET,
            "IAS_SHED_LAG_MS": "10000",
            "IAS_REDIS_TIMEOUT_MS": "10000",
            "IAS_GATEWAY_PORT": str(ports[0]),
            "IAS_GATEWAY_METRICS_PORT": str(ports[1]),
            "IAS_GATEWAY_URL": "https://models.example.org",
            "IAS_GATEWAY_INTERNAL_URL": urls[0],
        }
        argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(ports[2]), "--control-port", str(ports[3]))
        engine = Process("engine", argv, env, folder, f"{urls[2]}/health")
        gateway = Process("gateway", (str(BIN / "ias-gateway"),), env, folder, f"{urls[1]}/health")
        engine.start()
        try:
            with running(folder, env) as api:
                gateway.start()
                for process in (engine, gateway):
                    process.wait_ready()
                root = api.login(ROOT)
                model = {"name": MOCK, "backends": [{"url": urls[2]}], "input_rate": "1", "output_rate": "10"}
                good(root.post("/models", json=model))
                org = new_org(api, root)
                assert api.command("ias", "projection", "rebuild").returncode == 0
                yield Place(api, root, org, urls[3], "https://models.example.org/v1")
        finally:
            for process in (gateway, engine):
                process.end()


def eventually(look: Callable[[], Any], within: float = 30.0) -> Any:
    """What it comes to, once it is something."""
    until = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)
    return found


def test_a_conversation_goes_on_without_javascript_and_says_what_it_used_and_cost(place: Place) -> None:
    browser, before = place.visit(), len(place.oracle())
    browser.press("Send", content=f"Hello {EVIL} [[mock tokens=8]]", temperature="0.5", stop="END\n\\n")
    assert browser.status == 200
    assert EVIL in browser.page.one(id="turns").text
    assert EVIL not in browser.answer.text
    [last] = eventually(lambda: place.oracle()[before:])
    cost = (last["prompt_tokens"] + last["completion_tokens"] * 10) / 1000
    said = browser.page.classed("turn-sum")[0].text
    assert f"Prompt {last['prompt_tokens']} " in said
    assert f"Output {last['completion_tokens']} tokens" in said
    assert f"Cost {cost:.2f} " in said
    assert last["request_id"] in said
    assert '"temperature"' in browser.page.one(id="code").text
    browser.press("Send", content="And then? [[mock tokens=4]]")
    assert [turn.attrs["class"] for turn in browser.page.classed("turn")] == [*["turn mine", "turn theirs"] * 2, "turn"]
    longer = eventually(lambda: place.oracle()[before + 1 :])[0]
    assert longer["prompt_tokens"] > last["prompt_tokens"] + last["completion_tokens"]


def test_programs_are_shown_the_public_address_and_never_a_key(place: Place) -> None:
    browser = place.visit()
    browser.press("Show as code", content="it's so", system="Be brief", max_tokens="7", seed="3")
    code = browser.page.one(id="code").text
    for part in (f"{place.base_url}/chat/completions", f'base_url="{place.base_url}"', "$OPENAI_API_KEY", "Be brief"):
        assert part in code
    assert "it'\\''s so" in code
    token = place.org.user.key("mine")["token"]
    browser.open(place.page)
    assert "_".join(token.split("_")[:2]) in browser.answer.text  # what keys of the organisation begin with
    assert not [part for part in browser.answer.text.split() if len(part) > 60 and part.startswith("ias_")]


def test_the_key_is_sealed_for_this_login_and_revoked_when_it_is_let_go(place: Place) -> None:
    browser, other = place.visit(), Browser(place.api.url)
    cookie = browser.cookies["__Host-ias_playground"]
    assert "ias_" not in cookie
    other.login(place.org.user.email, PASSWORD)
    other.cookies["__Host-ias_playground"] = cookie
    other.open(place.page)
    assert "A key to call with" in other.page.text
    browser.press("Forget this key")
    assert "__Host-ias_playground" not in browser.cookies
    keys = good(place.org.user.client.get("/api-keys"))["items"]
    [newest] = [key for key in keys if key["label"] == "Playground"][:1]
    assert newest["revoked_at"] is not None


def playground_keys(place: Place) -> list[dict[str, Any]]:
    """Those of the user that work."""
    keys = good(place.org.user.client.get("/api-keys"))["items"]
    return [key for key in keys if key["label"] == "Playground" and key["revoked_at"] is None]


def test_making_another_key_and_logging_out_revoke_the_one_before(place: Place) -> None:
    before = {key["id"] for key in playground_keys(place)}
    browser = place.visit()
    [first] = [key["id"] for key in playground_keys(place) if key["id"] not in before]
    browser.send(f"{place.page}/key", {"csrf": browser.csrf})
    [second] = [key["id"] for key in playground_keys(place) if key["id"] not in before]
    assert second != first
    browser.press("Log out")
    assert "__Host-ias_playground" not in browser.cookies
    assert {key["id"] for key in playground_keys(place)} == before


def at_once(place: Place, browser: Browser, times: int = 4) -> set[str]:
    """Ask for a key as often at the same moment, out of one browser; the cookies that it is given."""
    gate = Barrier(times)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": cookie, "origin": browser.url, "sec-fetch-site": "same-origin"}

    def ask(_: int) -> str:
        with httpx.Client(timeout=60, trust_env=False) as client:
            gate.wait(60)
            answer = client.post(f"{browser.url}{place.page}/key", data={"csrf": browser.csrf}, headers=headers)
        assert answer.status_code == 303, answer.text
        return answer.cookies["__Host-ias_playground"]

    with ThreadPoolExecutor(times) as pool:
        return set(pool.map(ask, range(times)))


def test_a_key_that_is_asked_for_often_at_once_is_made_once_and_anew_when_it_was_let_go(place: Place) -> None:
    browser = Browser(place.api.url)
    browser.login(place.org.user.email, PASSWORD)
    browser.open(place.page)
    before = {key["id"] for key in playground_keys(place)}
    for _ in range(2):
        [browser.cookies["__Host-ias_playground"]] = at_once(place, browser)
        assert len([key for key in playground_keys(place) if key["id"] not in before]) == 1
        [browser.cookies["__Host-ias_playground"]] = at_once(place, browser)
        assert len([key for key in playground_keys(place) if key["id"] not in before]) == 1
        browser.open(place.page)
        browser.press("Send", content="hello [[mock tokens=3]]")
        assert browser.page.classed("turn-sum"), browser.page.one(id="turns").text
        browser.press("Forget this key")
        assert {key["id"] for key in playground_keys(place)} == before


def test_a_conversation_keeps_its_turns_where_an_answer_was_blank(place: Place) -> None:
    browser = place.visit()
    sent: dict[str, list[str] | str] = {"csrf": browser.csrf, "model": MOCK, "content": ""}
    sent |= {"asked": ["q1", "q2"], "answered": ["\n", "B"]}
    browser.send(f"{place.page}/code", sent)
    turns = [turn.text for turn in browser.page.classed("turn")]
    assert [turn.split() for turn in turns[:4]] == [["You", "q1"], [MOCK], ["You", "q2"], [MOCK, "B"]]


def test_what_the_gateway_refuses_is_shown_with_what_to_do(place: Place) -> None:
    browser = place.visit()
    browser.press("Send", content="x", temperature="3")
    assert browser.status == 400
    assert browser.page.one(id="f-temperature-fault").text
    browser.press("Send", temperature="1", content=f"{EVIL} [[mock status=400]]")
    assert "400" in browser.page.one("div", role="alert").text
    assert EVIL in browser.page.one("textarea", id="f-content").text
    keys = good(place.org.user.client.get("/api-keys"))["items"]
    [newest] = [key["id"] for key in keys if key["label"] == "Playground"][:1]
    good(place.org.user.client.delete(f"/api-keys/{newest}"))
    browser.press("Send", content="hello")
    said = browser.page.one("div", role="alert").text
    assert "401" in said
    assert "Forget it, and make a new one." in said


def test_a_key_of_ones_own_is_used_and_anything_else_is_none(place: Place) -> None:
    browser = place.visit()
    browser.press("Forget this key")
    browser.press("Use it", api_key="ias_nothing")
    assert "This is no key of your organisation" in browser.page.text
    browser.press("Use it", api_key=place.org.user.key("my own")["token"])
    browser.press("Send", content="hello [[mock tokens=3]]")
    assert browser.page.classed("turn-sum"), browser.page.one(id="turns").text


def streamed(browser: Browser, place: Place, **fields: str) -> httpx.Request:
    sent = {"csrf": browser.csrf, "model": MOCK, **fields}
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": cookie, "origin": browser.url, "sec-fetch-site": "same-origin", "accept": "text/event-stream"}
    return httpx.Request("POST", f"{browser.url}{place.page}/stream", data=sent, headers=headers)


def test_a_stream_comes_as_the_gateway_sends_it_one_at_a_time_and_ends_when_it_is_left(place: Place) -> None:
    browser = place.visit()
    with httpx.Client(timeout=30, trust_env=False) as client:
        before = len(place.oracle())
        answer = client.send(streamed(browser, place, content=SLOW, max_tokens="400"), stream=True)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: begun"
        told = [msgspec.json.decode(line[5:]) for line in (next_data(lines) for _ in range(4))]
        assert told[0]["request_id"]
        assert [each["object"] for each in told[1:]] == ["chat.completion.chunk"] * 3
        second = client.send(streamed(browser, place, content="hello"))
        assert "event: refused" in second.text
        assert "Another answer is still being written for you." in second.text
        assert "<" not in second.text
        answer.close()
        left = time.time()
    [ended] = eventually(lambda: place.oracle()[before:])
    assert (ended["outcome"], ended["request_id"]) == ("aborted", told[0]["request_id"])
    assert ended["completion_tokens"] < 400
    assert ended["ended_at"] - left < 10  # within a second, where the machine is not full of other tests
    with httpx.Client(timeout=30, trust_env=False) as client:
        after = client.send(streamed(browser, place, content="hello [[mock tokens=3]]"))
        assert "data: [DONE]" in after.text


def next_data(lines: Iterator[str]) -> str:
    return next(line for line in lines if line.startswith("data:"))


def test_a_whole_answer_that_nobody_waits_for_any_more_is_not_gone_on_with(place: Place) -> None:
    browser = place.visit()
    before = len(place.oracle())
    request = streamed(browser, place, content=SLOW, max_tokens="400")
    request.url = httpx.URL(f"{browser.url}{place.page}")
    request.headers["accept"] = "text/html"
    with httpx.Client(timeout=httpx.Timeout(30, read=4), trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
        client.send(request)
    [ended] = eventually(lambda: place.oracle()[before:])
    assert ended["outcome"] == "aborted"


def test_system_admins_hold_no_keys_and_have_no_playground(place: Place) -> None:
    operator = Browser(place.api.url)
    operator.login(ROOT, PASSWORD)
    operator.open(place.page)
    assert operator.status == 403
    browser = place.visit()
    foreign = new_org(place.api, place.root)
    browser.open(f"/orgs/{foreign.id}/playground")
    assert browser.status == 404
    refused = browser.send(f"{place.page}/stream", {"model": MOCK, "content": "x", "csrf": "wrong"})
    assert browser.status == 403, refused.text


def test_a_model_is_tried_by_a_gateway_and_each_check_is_shown(place: Place) -> None:
    operator = Browser(place.api.url)
    operator.login(ROOT, PASSWORD)
    operator.open("/models")
    operator.follow(MOCK)
    operator.press("Test it")
    assert operator.status == 200
    assert {"health", "name", "call", "usage"} <= {row.text for row in operator.page.all("th", scope="row")}
    assert operator.page.one("h1").text == f"Test of {MOCK}"
