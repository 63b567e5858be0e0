"""Coming and going in the browser: the way in, the way out, and that nothing stays behind."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewWindow
from tests.browser.watching import Window
from tests.product import Person
from tests.product.people import PASSWORD, new_org


async def test_logging_in_leads_to_where_one_wanted_to_go(window: Window, operator: Person) -> None:
    org = new_org(operator)
    page = window.page
    await window.open(f"/orgs/{org.id}/keys")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.get_by_label("E-mail address").fill(org.user.email)
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.get_by_label("E-mail address")).to_have_value(org.user.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page).to_have_url(re.compile(f"/orgs/{org.id}/keys$"))


async def test_going_back_after_logging_out_shows_nothing(window: Window, operator: Person) -> None:
    org = new_org(operator)
    page = window.page
    await window.login(org.user.email)
    await window.open(f"/orgs/{org.id}/keys/new")
    await window.open(f"/orgs/{org.id}/keys")
    await page.get_by_label("Navigation").get_by_role("button", name="Log out").click()
    await expect(page.get_by_text("You are logged out.")).to_be_visible()
    for _ in range(2):
        await page.go_back()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await expect(page.get_by_text(org.user.email)).to_have_count(0)


async def test_whoever_is_logged_out_elsewhere_is_asked_to_log_in(new_window: NewWindow, operator: Person) -> None:
    org = new_org(operator)
    here, there = await new_window(), await new_window()
    for window in (here, there):
        await window.login(org.user.email)
    await here.page.get_by_label("Navigation").get_by_role("button", name="Log out").click()
    await there.go("API keys")
    await expect(there.page.get_by_role("heading", name="API keys")).to_be_visible()
    await here.open(f"/orgs/{org.id}/keys")
    await expect(here.page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_no_page_is_shown_in_a_frame(new_window: NewWindow, operator: Person) -> None:
    org = new_org(operator)
    window = await new_window(bypass_csp=False)
    await window.login(org.user.email)
    framing = f"<iframe src='{window.url}/orgs/{org.id}/keys'></iframe><iframe src='{window.url}/login'></iframe>"
    await window.context.route(
        "**/framing", lambda route: route.fulfill(body=framing, content_type="text/html", status=200)
    )
    await window.open("/framing")
    await window.page.wait_for_load_state("networkidle")
    for frame in window.page.frames[1:]:
        assert "IAS" not in await frame.content()
    assert len(window.noted) >= 2, window.noted
    assert all("frame-ancestors" in each or "X-Frame-Options" in each for each in window.noted), window.noted
    window.noted.clear()
