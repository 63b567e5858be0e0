"""Every page that a role can get to: accessible in both colours, on a telephone and a desk, and light."""

from typing import Literal

import pytest
from playwright.async_api import Page

from tests.browser.axe import violations
from tests.browser.conftest import NewWindow
from tests.browser.demo import Demo
from tests.browser.tour import tour
from tests.browser.watching import Window

WIDTHS = (360, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WHOLE = {(360, "light"), (1280, "dark")}
"""Where all rules are asked for: once for each width and each colour."""
OF_COLOURS = ("color-contrast", "link-in-text-block")
"""Rules that look at colours: they are asked for everywhere."""
HEAVIEST = 150_000
WEIGHT = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
    .filter(each => !each.name.includes("uplot")).reduce((sum, each) => sum + each.encodedBodySize, 0)"""
"""Bytes as they came, also those that the browser had already; without the chart library."""
OWN = {f"/orgs/…{page}" for page in ("", "/keys", "/models", "/playground", "/usage", "/requests", "/budget")}
LED = {f"/orgs/…{page}" for page in ("/members", "/gitops", "/audit", "/members/invite", "/budget/limits")}
LEAST = {
    "nobody": {"/login", "/accept-invite"},
    "user": {*OWN, "/me", "/orgs/…/keys/new", "/orgs/…/keys/…", "/orgs/…/requests/…"},
    "admin": {*OWN, *LED, "/me", "/orgs/…/members/…", "/orgs/…/audit/…"},
    "operator": {*LED, "/overview", "/orgs", "/orgs/new", "/models", "/models/new", "/models/…", "/usage", "/audit"},
}
"""The kinds of pages that a role must at least get to by links."""


def starts(demo: Demo, role: str) -> tuple[str, ...]:
    """Where the tour of a role begins: its own pages, and what no link leads to."""
    if role == "nobody":
        return "/login", "/accept-invite?token=nonsense", "/login?next=/orgs"
    if role == "operator":
        teams = (demo.lab, demo.support, demo.closed, demo.managed, demo.fresh)
        return "/", *(f"/orgs/{team.id}" for team in teams), "/nowhere"
    return "/", f"/orgs/{demo.support.id}", "/nowhere", "/models"


async def enter(window: Window, demo: Demo, role: str) -> None:
    """Log in as the role's person of the demo."""
    person = {"operator": demo.operator, "admin": demo.lab.admin, "user": demo.lab.user}.get(role)
    if person is not None:
        await window.login(person.email)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", LEAST)
async def test_every_page_is_accessible_fits_a_telephone_and_is_light(
    new_window: NewWindow, demo_platform: Demo, role: str
) -> None:
    window = await new_window()
    await enter(window, demo_platform, role)
    wrong, kinds = [], set()
    async for kind in tour(window, *starts(demo_platform, role)):
        kinds.add(kind)
        wrong += [f"{window.page.url}: {each}" for each in await faults(window.page)]
    assert not wrong, "\n".join(wrong)
    assert LEAST[role] <= kinds, LEAST[role] - kinds


async def faults(page: Page) -> list[str]:
    """What is wrong with the page in one of the widths or colours."""
    weight = await page.evaluate(WEIGHT)
    found = [] if weight < HEAVIEST else [f"weighs {weight} bytes"]
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"is wider than {width} px")
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            rules = () if (width, scheme) in WHOLE else OF_COLOURS
            found += [f"{width} px, {scheme}: {each}" for each in await violations(page, *rules)]
    return found
