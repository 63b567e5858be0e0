"""The console by keyboard alone, and on a telephone."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewWindow
from tests.browser.demo import Demo

FOCUSED = """() => {
    const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
    const label = at.closest("label") ? getComputedStyle(at.closest("label")) : style;
    const ring = [style, label].some(each => each.outlineStyle !== "none" && parseFloat(each.outlineWidth) >= 2);
    return {what: at.outerHTML.slice(0, 120), ring, body: at === document.body, shown: box.width > 0 && box.height > 0,
        main: document.querySelector("main").contains(at)};
}"""
MOST = 120


async def test_a_slash_leads_to_the_search_field_and_is_a_slash_within_it(
    new_window: NewWindow, demo_platform: Demo
) -> None:
    window = await new_window()
    page = window.page
    await window.login(demo_platform.lab.admin.email)
    for place in ("Members", "Requests", "Audit log"):
        await window.go(place)
        search = page.locator("[data-search]")
        await expect(search).not_to_be_focused()
        await page.keyboard.press("/")
        await expect(search).to_be_focused()
        await page.keyboard.type("a/b")
        await expect(search).to_have_value("a/b")


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_filters_are_folded_on_a_telephone_unless_one_is_set_and_shown_where_there_is_room(
    new_window: NewWindow, demo_platform: Demo, scripts: bool
) -> None:
    window = await new_window(scripts=scripts, viewport={"width": 360, "height": 800})
    page, base = window.page, f"/orgs/{demo_platform.lab.id}"
    await window.login(demo_platform.lab.admin.email)
    fold = page.locator(".fold > summary")
    for place, name, chosen in (
        ("/audit", "source", "api"),
        ("/usage", "every", "day"),
        ("/requests", "errors", "true"),
    ):
        await page.set_viewport_size({"width": 360, "height": 800})
        await window.open(f"{base}{place}")
        field = page.locator(f"select[name={name}]")
        await expect(field).to_be_hidden()
        await fold.press("Enter")
        await expect(field).to_be_visible()
        await window.open(f"{base}{place}?{name}={chosen}")
        await expect(field).to_have_value(chosen)
        await expect(field).to_be_visible()
        await window.open(f"{base}{place}")
        await page.set_viewport_size({"width": 1280, "height": 800})
        await expect(fold).to_be_hidden()
        await expect(field).to_be_visible()
        await field.focus()
        await expect(field).to_be_focused()


async def test_a_page_is_walked_through_by_tab_and_one_always_sees_where_one_is(
    new_window: NewWindow, demo_platform: Demo
) -> None:
    window = await new_window()
    page = window.page
    await window.login(demo_platform.lab.admin.email)
    for place in ("", "/keys", "/usage", "/budget", "/playground"):
        await window.open(f"/orgs/{demo_platform.lab.id}{place}")
        await page.evaluate("document.activeElement.blur()")
        reached = []
        for _ in range(MOST):
            await page.keyboard.press("Tab")
            at = await page.evaluate(FOCUSED)
            if at["body"]:
                break
            assert at["ring"], f"one does not see that the focus is at {at['what']} of {page.url}"
            assert at["shown"], f"the focus is at what is not seen: {at['what']} of {page.url}"
            reached.append(at)
        assert "Skip to content" in reached[0]["what"]
        assert any(at["main"] for at in reached), f"the content of {page.url} is not reached"


async def test_the_first_link_skips_the_navigation(new_window: NewWindow, demo_platform: Demo) -> None:
    window = await new_window()
    page = window.page
    await window.login(demo_platform.lab.admin.email)
    await window.open(f"/orgs/{demo_platform.lab.id}/keys")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert (await page.evaluate(FOCUSED))["main"]


async def test_a_telephone_has_the_navigation_in_a_menu(new_window: NewWindow, demo_platform: Demo) -> None:
    for scripts in (True, False):
        window = await new_window(scripts=scripts, viewport={"width": 360, "height": 740}, has_touch=True)
        page = window.page
        await window.login(demo_platform.lab.user.email)
        menu = page.get_by_label("Main, small")
        await expect(menu.get_by_role("link", name="API keys")).to_be_hidden()
        await page.locator("summary").filter(has_text="Menu").tap()
        await menu.get_by_role("link", name="API keys").tap()
        await expect(page).to_have_url(re.compile("/keys$"))


async def test_light_or_dark_is_chosen_and_kept(new_window: NewWindow, demo_platform: Demo) -> None:
    for scripts in (True, False):
        window = await new_window(scripts=scripts, color_scheme="light")
        page = window.page
        await window.login(demo_platform.lab.user.email)
        for wanted in ("Dark", "Light"):
            await page.get_by_label("Navigation").get_by_role("button", name=wanted).click()
            await expect(page.locator("html")).to_have_attribute("data-theme", wanted.lower())
            await window.open("/me")
            await expect(page.locator("html")).to_have_attribute("data-theme", wanted.lower())
