"""What `make test` does in the browser: from logging in by a key and a call to the usage that it left."""

from playwright.async_api import expect

from tests.browser.axe import violations
from tests.browser.conftest import NewWindow
from tests.browser.demo import HELLO
from tests.browser.doing import make_key
from tests.product import Person
from tests.product.people import new_org


async def test_from_logging_in_to_a_call_that_usage_shows_on_pages_that_are_accessible(
    new_window: NewWindow, operator: Person
) -> None:
    org = new_org(operator)
    window = await new_window()
    page = window.page
    await window.open("/login")
    assert await violations(page) == []
    await window.login(org.user.email)
    assert await violations(page) == []
    await window.go("API keys")
    await page.get_by_role("link", name="New key").click()
    token = await make_key(window, "my laptop")
    assert await violations(page) == []
    answer = org.user.openai(token).chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=20)
    assert answer.usage
    await window.go("Usage")
    await window.until_gone(page.get_by_text("Nothing was used yet"))
    await expect(page.get_by_text(f"{answer.usage.total_tokens}").first).to_be_visible()
    assert await violations(page) == []


async def test_the_same_way_goes_without_javascript(new_window: NewWindow, operator: Person) -> None:
    org = new_org(operator)
    window = await new_window(scripts=False)
    await window.login(org.user.email)
    await window.go("API keys")
    await window.page.get_by_role("link", name="New key").click()
    token = await make_key(window, "plain")
    org.user.openai(token).chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=20)
    await window.go("Usage")
    await window.until_gone(window.page.get_by_text("Nothing was used yet"))
