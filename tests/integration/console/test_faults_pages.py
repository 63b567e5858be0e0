"""Faults are pages for people and problems for programs, what is stored is text, and files are kept for ever."""

import gzip

import httpx
import pytest

from tests.integration.console.browser import Browser, read
from tests.integration.identity.conftest import Api, Org

NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} \N{RIGHT-TO-LEFT OVERRIDE}evil"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nothing", 404, "There is no page at this address."),
        ("/orgs/not-an-id/keys", 404, "There is no page at this address."),
        ("/logout", 405, "open the page that has the form"),
        ("/orgs/{org}/keys?cursor=%%%%", 400, "leave it out to start at the first page"),
        ("/orgs/{org}/keys/0190a3a0-0000-7000-8000-000000000000", 404, "No such API key."),
    ],
)
def test_a_fault_is_a_page_that_says_what_to_do(path: str, status: int, said: str, user: Browser, house: Org) -> None:
    user.open(path.replace("{org}", house.id))
    assert user.status == status
    assert said in user.page.text
    assert [link for link in user.page.all("a") if link.attrs["href"] == "/"]
    assert user.answer.headers["x-request-id"] in user.page.text


def test_a_form_that_is_too_long_is_refused_by_a_page(user: Browser) -> None:
    user.open("/me")
    user.send("/me", {"csrf": user.csrf, "name": "x" * (2 << 20)})
    assert user.status == 413
    assert "shorten it" in user.page.text.lower()


def test_programs_get_problems_whatever_they_accept(api: Api) -> None:
    with httpx.Client(base_url=api.url, trust_env=False, verify=False) as client:
        answer = client.get("/api/v1/nothing", headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        answer = client.get("/nothing", headers={"accept": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_what_htmx_asks_after_the_session_ended_leads_to_the_form(stranger: Browser) -> None:
    answer = stranger._ask("GET", "/me", None, {"hx-request": "true", "accept": "*/*"})
    assert answer.headers["hx-redirect"] == "/login?next=/me"


def test_what_people_write_is_shown_as_they_wrote_it_and_runs_nothing(user: Browser, house: Org) -> None:
    label = NASTY.replace("\N{RIGHT-TO-LEFT OVERRIDE}", "")
    user.open(f"/orgs/{house.id}/keys/new")
    user.press("Make the key", label=label)
    assert user.status == 200, user.page.text
    for path in (None, f"/orgs/{house.id}/keys"):
        page = user.page if path is None else user.open(path)
        assert label in page.text.replace("  ", " ") or label.split()[0] in page.text
        assert [script for script in page.all("script") if "src" not in script.attrs] == []
        assert page.all("img") == []
        assert not [each for each in page.all() if any(name.startswith("on") for name in each.attrs)]
        assert "49" not in page.one("title").text
    user.open("/me")
    user.press("Save", name=label)
    assert user.page.all("img") == []


def test_what_is_wrong_with_a_form_stands_beside_the_field_with_what_was_typed(user: Browser, house: Org) -> None:
    user.open(f"/orgs/{house.id}/keys/new")
    user.press("Make the key", label="kept", expires_at="2001-01-01", monthly_tokens="-1")
    assert user.status == 400
    field = user.page.one("input", name="monthly_tokens")
    assert field.attrs["aria-invalid"] == "true"
    told = user.page.one(id=field.attrs["aria-describedby"].split()[-1]).text
    assert "int" in told or ">= 0" in told
    user.press("Make the key", monthly_tokens="")
    assert user.page.one("input", name="label").attrs["value"] == "kept"
    assert "must be in the future" in user.page.text


def test_light_and_dark_are_kept_without_javascript(user: Browser) -> None:
    user.open("/me")
    user.press("Dark")
    assert user.path == "/me"
    assert user.page.one("html").attrs["data-theme"] == "dark"
    assert user.open("/nothing").one("html").attrs["data-theme"] == "dark"
    user.open("/me")
    user.press("As the system")
    assert user.page.one("html").attrs["data-theme"] == "auto"


def test_files_have_names_of_their_own_and_are_kept(stranger: Browser) -> None:
    page = stranger.open("/login")
    paths = [link.attrs["href"] for link in page.all("link")] + [each.attrs["src"] for each in page.all("script")]
    assert len(paths) >= 3
    for path in paths:
        answer = stranger._ask("GET", path, None, {"accept-encoding": "identity"})
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        assert answer.headers["x-content-type-options"] == "nosniff"
        packed = stranger._ask("GET", path, None, {"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == answer.content
    assert stranger._ask("GET", "/static/vendored.json", None, {}).status_code == 404
    assert stranger._ask("GET", "/static/..%2fsettings.py", None, {}).status_code == 404


def test_a_page_with_all_that_it_loads_is_light(user: Browser, house: Org) -> None:
    page = user.open(f"/orgs/{house.id}/keys")
    paths = [link.attrs["href"] for link in page.all("link")] + [each.attrs["src"] for each in page.all("script")]
    weight = len(gzip.compress(user.answer.content))
    for path in paths:
        with user._client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            weight += sum(len(part) for part in answer.iter_raw())
    assert weight < 150_000


def test_what_browsers_kept_out_is_counted(stranger: Browser, api: Api) -> None:
    def counted() -> float:
        text = httpx.get(f"{api.url}/metrics", trust_env=False).text
        [line] = [line for line in text.splitlines() if line.startswith("ias_csp_reports_total")]
        return float(line.split()[-1])

    before = counted()
    sent = b'{"csp-report": {"blocked-uri": "https://evil.example"}}'
    answer = stranger._client.post("/csp-reports", content=sent, headers={"content-type": "application/csp-report"})
    assert answer.status_code == 204
    assert stranger._client.post("/csp-reports", content=b"x" * 20_000).status_code == 413
    assert counted() == before + 1


def test_the_reader_of_these_tests_refuses_pages_that_are_not_closed() -> None:
    with pytest.raises(AssertionError, match="ends"):
        read("<main><p>text</main>")
