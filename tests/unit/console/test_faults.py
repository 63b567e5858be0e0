"""With PostgreSQL away every page says so, and what is proved by a cookie is proved by no other."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ias import settings
from ias.answers import FAULTS
from ias.bodies import JsonRequest
from ias.console import files, tickets
from ias.console.visit import Said, packed, unpacked
from ias.web import pages, provided


def no_edge() -> object:
    raise RuntimeError("an inner detail")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient[Litestar]]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(f"IAS_{name}", "redis://127.0.0.1:1")
    monkeypatch.setenv("IAS_JWT_SECRET", "x" * 32)
    monkeypatch.setenv("IAS_PUBLIC_URL", "https://ias.acme.example")
    settings.settings.cache_clear()
    app = Litestar(
        [pages(), *files.handlers()],
        dependencies=provided(no_edge),
        exception_handlers=FAULTS,
        request_class=JsonRequest,
        openapi_config=None,
    )
    client = TestClient(app, base_url="https://ias.acme.example")
    client.headers["accept"] = "text/html"
    yield client
    settings.settings.cache_clear()


def test_a_page_says_that_the_service_is_not_ready_and_what_to_do(client: TestClient[Litestar]) -> None:
    answer = client.get("/me", headers={"cookie": "__Host-ias_session=token; __Host-ias_theme=dark"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert "Requests to models go on" in answer.text
    assert '<a class="button" href="/me">Try again</a>' in answer.text
    assert 'data-theme="dark"' in answer.text


def test_the_form_to_log_in_is_shown_without_any_service(client: TestClient[Litestar]) -> None:
    answer = client.get("/login")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert client.get("/static/nowhere.css").status_code == 404
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_an_origin_that_cannot_be_read_is_foreign(client: TestClient[Litestar]) -> None:
    client.get("/login?next=//[")
    sent = {"csrf": tickets.proof(client.cookies["__Host-ias_visitor"])}
    answer = client.post("/login", data=sent, headers={"origin": "http://["})
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_the_charset_of_a_page_is_said_once(client: TestClient[Litestar]) -> None:
    assert client.get("/login").headers["content-type"] == "text/html; charset=utf-8"


def test_what_fails_unexpectedly_says_so_and_tells_nothing_else(client: TestClient[Litestar]) -> None:
    client.get("/login")
    sent = {"csrf": tickets.proof(client.cookies["__Host-ias_visitor"]), "email": "a@b.example", "password": "x"}
    answer = client.post("/login", data=sent)
    assert answer.status_code == 500
    assert "It is not your doing" in answer.text
    assert "an inner detail" not in answer.text


@pytest.mark.parametrize(
    ("plain", "name", "secure"), [("", "__Host-ias_visitor", True), ("true", "ias_visitor", False)]
)
def test_cookies_are_secure_but_where_somebody_says_that_the_network_is_theirs(
    plain: str, name: str, secure: bool, client: TestClient[Litestar], monkeypatch: pytest.MonkeyPatch
) -> None:
    if plain:
        monkeypatch.setenv("IAS_PLAIN_COOKIES", plain)
    settings.settings.cache_clear()
    [said] = client.get("/login").headers.get_list("set-cookie")
    assert said.startswith(f"{name}=")
    assert ("Secure" in said) is secure
    assert "HttpOnly" in said


def test_pages_go_compressed_to_whoever_takes_that(client: TestClient[Litestar]) -> None:
    packed_page = client.get("/login", headers={"accept-encoding": "gzip"})
    plain_page = client.get("/login", headers={"accept-encoding": "identity"})
    assert packed_page.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain_page.headers
    assert int(packed_page.headers["content-length"]) < int(plain_page.headers["content-length"])
    assert "Log in" in packed_page.text


def test_a_proof_is_of_one_secret_alone() -> None:
    tickets.check("secret", tickets.proof("secret"))
    assert tickets.proof("secret") != tickets.proof("secret")
    for secret, sent in (("secret", tickets.proof("other")), ("secret", ""), ("", tickets.proof(""))):
        with pytest.raises(tickets.ForeignForm):
            tickets.check(secret, sent)


def test_what_the_page_before_said_is_kept_in_a_cookie_and_cut() -> None:
    assert unpacked(packed(Said("Done: \N{SNOWMAN}", "plain"))) == Said("Done: \N{SNOWMAN}", "plain")
    told = unpacked(packed(Said("x" * 9000)))
    assert told is not None
    assert len(told.text) == 500
    for forged in ("", "%", "e30", packed(Said("x", "good onload=alert(1)"))):
        assert unpacked(forged) is None


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/orgs/1/keys?x=1#y", "/orgs/1/keys?x=1#y"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("evil", "/"),
        ("", "/"),
        ("//[", "/"),
        ("/\N{CJK UNIFIED IDEOGRAPH-65E5}", "/"),
        ("/\x7f", "/"),
        ("/%E6%97%A5", "/%E6%97%A5"),
    ],
)
def test_only_paths_of_this_host_are_gone_to(path: str, own: str) -> None:
    assert tickets.own_path(path) == own
