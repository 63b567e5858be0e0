"""`nox -s screenshots`: every page, as each role sees it, into `docs/images/console/`; to be looked at.

Not a test: pytest runs it only where it is named. What changes from run to run, such as ids and moments, changes in
the pictures too; people, numbers and texts do not.
"""

import re
from pathlib import Path

import pytest

from tests.browser.conftest import NewWindow
from tests.browser.demo import Demo, Team
from tests.browser.pictures import small
from tests.browser.tour import tour
from tests.browser.watching import Window
from tests.product import Person

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "console"
DESK = {"width": 1280, "height": 800}
TELEPHONE = {"width": 390, "height": 780}
ALONE = {"/login", "/accept-invite", "/me", "/nowhere"}
"""Pages that are neither of the platform nor of an organisation."""
MAIN = {"home", "usage", "keys", "playground", "budget", "requests", "members", "platform-overview", "platform-usage"}
"""Pages that are shown in the dark, and on a telephone, too."""
TIDY = """() => {
    scrollTo(0, 0);
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode())
        walk.currentNode.data = walk.currentNode.data.replace(/[/][^ ;:]*[/](?=policies)/, "/srv/git/");
}"""
"""The folder that a run has its repositories in says nothing to anybody."""
MOST_BYTES = 6_000_000


def called(kind: str) -> str:
    """What the picture of a kind of page is called."""
    path = re.sub(r"^/orgs/…", "", kind)
    area = "platform" if path == kind and path not in ALONE else ""
    return re.sub(r"[^a-z0-9]+", "-", f"{area}{path}".replace("…", "one")).strip("-") or "home"


async def picture(window: Window, role: str, name: str, form: str) -> None:
    """Take one."""
    if len(window.context.pages) == 1:
        await window.context.new_page()
    await window.page.evaluate(TIDY)
    taken = await window.page.screenshot(animations="disabled", caret="hide")
    (FOLDER / f"{role}-{name}{form}.png").write_bytes(await small(window.context.pages[1], taken))


async def pictures(window: Window, role: str, name: str) -> None:
    """The page on a desk; a main one also in the dark and on a telephone."""
    page = window.page
    await page.set_viewport_size(DESK)
    await page.emulate_media(color_scheme="light")
    await picture(window, role, name, "")
    if name in MAIN and role in {"admin", "operator"}:
        await page.emulate_media(color_scheme="dark")
        await picture(window, role, name, "-dark")
        await page.emulate_media(color_scheme="light")
    if name in MAIN and role == "admin":
        await page.set_viewport_size(TELEPHONE)
        await picture(window, role, name, "-telephone")
        await page.set_viewport_size(DESK)


@pytest.mark.timeout(900)
async def test_every_page_has_its_picture(new_window: NewWindow, demo_platform: Demo) -> None:
    demo = demo_platform
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for role, email, starts in (
        ("nobody", "", ("/login", "/accept-invite?token=t")),
        ("operator", demo.operator.email, ("/", f"/orgs/{demo.lab.id}")),
        ("admin", demo.lab.admin.email, ("/", "/nowhere")),
        ("user", demo.lab.user.email, ("/", "/audit")),
    ):
        window = await new_window(viewport=DESK)
        if email:
            await window.login(email)
        taken: set[str] = set()
        async for kind in tour(window, *starts):
            name = called(kind)
            if name not in taken:
                taken.add(name)
                await pictures(window, role, name)
    await _apart(new_window, "git", (demo.managed, demo.managed.admin), ("", "/gitops", "/budget", "/members"))
    await _apart(new_window, "new", (demo.fresh, demo.fresh.admin), ("", "/keys", "/usage", "/requests"))
    await _apart(new_window, "near-its-end", (demo.support, demo.support.admin), ("", "/budget", "/budget/alerts"))
    await _apart(new_window, "suspended", (demo.closed, demo.operator), ("", "/administration"))
    await _conversation(new_window, demo.lab)
    assert sum(file.stat().st_size for file in FOLDER.glob("*.png")) < MOST_BYTES


async def _apart(new_window: NewWindow, name: str, whose: tuple[Team, Person], places: tuple[str, ...]) -> None:
    """What looks different in an organisation that is not in plain use, as somebody sees it."""
    team, who = whose
    window = await new_window(viewport=DESK)
    await window.login(who.email)
    for place in places:
        await window.open(f"/orgs/{team.id}{place}")
        await picture(window, name, called(f"/orgs/…{place}"), "")


async def _conversation(new_window: NewWindow, team: Team) -> None:
    """What no link leads to: an answer in the playground, a key that was just made."""
    window = await new_window(viewport=DESK)
    page = window.page
    await window.login(team.user.email)
    await window.open(f"/orgs/{team.id}/playground")
    await page.get_by_role("button", name="Make a key for an hour").click()
    await page.get_by_label("Model", exact=True).select_option("mock-gpt")
    await page.get_by_label("Message", exact=True).fill("What does a ledger line hold?")
    await page.get_by_label("Tokens at most").fill("60")
    await page.get_by_role("button", name="Send").click()
    await page.get_by_role("region", name="Messages").get_by_text(re.compile("^[0-9]+ tokens$")).wait_for()
    await picture(window, "user", "playground-answer", "")
    await window.open(f"/orgs/{team.id}/keys/new")
    await page.get_by_label("Name").fill("Notebook at home")
    await page.get_by_role("button", name="Make the key").click()
    await page.locator("#token").wait_for()
    await picture(window, "user", "keys-shown", "")
