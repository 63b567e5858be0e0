"""Text that would like to be script: in every field that takes it, on every page that shows it, it stays text."""

from pathlib import Path

import pytest

from tests.browser.conftest import NewWindow
from tests.browser.demo import HELLO, bind, in_hours
from tests.browser.tour import tour
from tests.integration.gitops.repos import Repo, policy, users
from tests.product import Person
from tests.product.people import PASSWORD, login

PAGES = ("", "/audit", "/gitops", "/requests", "/usage", "/budget", "/administration")
RUNS = "<script>window.ran = 1</script><img src=/ran onerror='window.ran = 2'>\"'{{ 7 * 7 }}"
KINDS = {
    "the organisation's name": "o",
    "a member's name": "m",
    "a key's name": "k",
    "the description": "d",
    "the cost centre": "c",
    "a tag": "t",
    "the reason to leave Git aside": "r",
    "the reason to suspend it": "s",
    "a commit": "g",
}
GIT_NAME = "haunted-by-git"


def hostile(kind: str) -> str:
    """The text for one field; one sees which on a page."""
    return f"{KINDS[kind]}{RUNS}"


@pytest.fixture(scope="module")
def haunted(operator: Person, repositories: Path) -> list[tuple[str, Person]]:
    """Organisations all of whose text is hostile, with their admins: one of the pages, one of Git."""
    by_hand = _haunt(operator, hostile("the organisation's name"), "haunted.example.com")
    by_git = _haunt(operator, GIT_NAME, "git.example.com")
    repo = Repo(repositories / "<img src=ran>")
    about = "".join(
        f"  {field}: {text}\n"
        for field, text in (
            ("description", _quoted("the description")),
            ("cost_center", _quoted("the cost centre")),
            ("tags", f"{{tier: {_quoted('a tag')}}}"),
        )
    )
    whole = policy(GIT_NAME, users((by_git[1].email, "org-admin")), about)
    repo.commit({f"orgs/{GIT_NAME}/org.yaml": whole}, hostile("a commit"))
    bind(operator, by_git[0], repo)
    reason = {"reason": hostile("the reason to leave Git aside"), "until": in_hours(4)}
    operator.post(f"/organizations/{by_git[0]}/gitops/suspend", reason)
    closed = _haunt(operator, "haunted-and-closed", "closed.example.com")
    reason = {"reason": hostile("the reason to suspend it")}
    operator.api.post(f"/organizations/{closed[0]}/suspend", params=reason).raise_for_status()
    return [by_hand, by_git, closed]


def _haunt(operator: Person, name: str, domain: str) -> tuple[str, Person]:
    made = operator.post("/organizations", {"name": name})
    email = f"admin@{domain}"
    invite = operator.post("/users/invite", {"email": email, "role": "org-admin", "org_id": made["id"]})
    whole = {"token": invite["token"], "name": hostile("a member's name"), "password": PASSWORD}
    operator.post("/users/accept-invite", whole)
    admin = login(operator.product, email)
    token = admin.issue_key(hostile("a key's name"))["token"]
    admin.openai(token).chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=5)
    return made["id"], admin


def _quoted(kind: str) -> str:
    """As YAML writes it between single quotes."""
    return "'" + hostile(kind).replace("'", "''") + "'"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", ["operator", "admin of one", "admin of the other"])
async def test_stored_script_is_shown_as_text_and_runs_nowhere(
    new_window: NewWindow, haunted: list[tuple[str, Person]], operator: Person, role: str
) -> None:
    who = {"operator": operator, "admin of one": haunted[0][1], "admin of the other": haunted[1][1]}[role]
    mine = [each for each in haunted if who is operator or who is each[1]]
    window = await new_window(user_agent=f"Mozilla/5.0 {RUNS}")
    await window.login(who.email)
    shown: set[str] = set()
    async for _ in tour(window, *(f"/orgs/{org_id}{page}" for org_id, _ in mine for page in PAGES), "/me"):
        text = await window.page.inner_text("body")
        shown |= {kind for kind in KINDS if hostile(kind) in text}
        assert await window.page.evaluate("window.ran") is None, window.page.url
        assert await window.page.locator("img[src$=ran]").count() == 0, window.page.url
        assert "'49" not in text, window.page.url
    expected = {"a member's name", "a key's name"}
    if haunted[1] in mine:
        expected |= {"the description", "a commit", "the reason to leave Git aside"}
    if who is operator:
        expected |= {"the organisation's name", "the reason to suspend it"}
    assert expected <= shown, expected - shown
