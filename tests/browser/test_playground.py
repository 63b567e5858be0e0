"""What the playground's script does where no answer comes: it says what to do, and takes no markup from anybody."""

import re

from playwright.async_api import Route, expect

from tests.browser.conftest import NewWindow
from tests.browser.watching import Window
from tests.product import Person
from tests.product.people import new_org

EVIL = "<b id='evil'>bold</b>"


async def playground(new_window: NewWindow, operator: Person) -> Window:
    """A user's window on the playground, with a key."""
    window = await new_window()
    await window.login(new_org(operator).user.email)
    await window.go("Playground")
    await window.page.get_by_role("button", name="Make a key for an hour").click()
    return window


async def ask(window: Window, question: str) -> None:
    await window.page.get_by_label("Message", exact=True).fill(question)
    await window.page.get_by_role("button", name="Send").click()


async def test_a_refusal_is_text_whatever_it_says(new_window: NewWindow, operator: Person) -> None:
    window = await playground(new_window, operator)

    async def refuse(route: Route) -> None:
        told = f'event: refused\ndata: {{"status": 429, "code": "{EVIL}", "message": "{EVIL}", "todo": "Wait."}}\n\n'
        await route.fulfill(body=told, content_type="text/event-stream")

    await window.page.route(re.compile("/stream$"), refuse)
    await ask(window, "hello")
    alert = window.page.get_by_role("region", name="Messages").get_by_role("alert")
    await expect(alert).to_contain_text(f"429 {EVIL}")
    await expect(alert).to_contain_text("Wait.")
    await expect(window.page.locator("#evil")).to_have_count(0)
    await expect(window.page.get_by_label("Message", exact=True)).to_have_value("hello")
    await expect(window.page.get_by_label("Message", exact=True)).to_be_focused()


async def test_a_conversation_that_is_too_long_to_be_sent_is_to_begin_anew(
    new_window: NewWindow, operator: Person
) -> None:
    window = await playground(new_window, operator)
    messages = window.page.get_by_role("region", name="Messages")
    await window.page.get_by_label("System prompt").fill("ä" * 190_000)
    await ask(window, "hello")
    await expect(messages.get_by_text("begin a new conversation")).to_be_visible()
    await expect(window.page.locator("#code").get_by_text("curl -N")).to_be_visible()


async def test_who_is_logged_out_is_told_so_and_keeps_what_they_wrote(new_window: NewWindow, operator: Person) -> None:
    window = await playground(new_window, operator)
    await window.context.clear_cookies()
    await ask(window, "hello")
    messages = window.page.get_by_role("region", name="Messages")
    await expect(messages.get_by_text("log in again")).to_be_visible()
    await expect(window.page.get_by_label("Message", exact=True)).to_have_value("hello")
    await expect(window.page.get_by_label("Message", exact=True)).to_be_focused()
