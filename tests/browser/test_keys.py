"""Keys in the browser: made once, copied, used by a real call, rotated, revoked; and what dialogs do."""

import openai
import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewWindow
from tests.browser.doing import make_key
from tests.browser.watching import Window
from tests.product import Person
from tests.product.people import Org, new_org

HELLO = [{"role": "user", "content": "Hello"}]


def call(org: Org, token: str) -> str:
    """What the model answers to a key."""
    client = org.user.openai(token, max_retries=0)
    answer = client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=5)
    return answer.choices[0].message.content or ""


async def make(window: Window, label: str) -> str:
    """Make a key, beginning at the first page; its token."""
    await window.go("API keys")
    await window.page.get_by_role("link", name="New key").click()
    return await make_key(window, label)


async def test_a_key_is_made_once_used_rotated_and_revoked(window: Window, operator: Person) -> None:
    org = new_org(operator)
    page = window.page
    await window.login(org.user.email)
    first = await make(window, "my laptop")
    assert call(org, first)

    await page.get_by_role("link", name="I have copied it").click()
    await expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    assert first not in await page.content()

    await page.get_by_role("link", name="my laptop").click()
    assert first not in await page.content()
    await page.get_by_label("This one ends").select_option("at once")
    await page.get_by_role("button", name="Rotate").click()
    second = await page.locator("#token").inner_text()
    assert second != first
    assert call(org, second)
    with pytest.raises(openai.AuthenticationError):
        call(org, first)

    await page.get_by_role("link", name="I have copied it").click()
    await page.get_by_role("row").filter(has_text="active").get_by_role("link", name="my laptop").click()
    await page.get_by_role("link", name="Revoke this key").click()
    await expect(page.get_by_text("just now").or_(page.get_by_text("second")).first).to_be_visible()
    await page.get_by_role("button", name="Revoke it").click()
    await expect(page.get_by_role("status")).to_contain_text("is revoked")
    with pytest.raises(openai.AuthenticationError):
        call(org, second)


async def test_a_new_key_is_copied_with_one_click(new_window: NewWindow, operator: Person) -> None:
    org = new_org(operator)
    window = await new_window(permissions=["clipboard-read", "clipboard-write"])
    await window.login(org.user.email)
    token = await make(window, "copied")
    await window.page.get_by_role("button", name="Copy").first.click()
    await expect(window.page.get_by_role("button", name="Copied")).to_be_visible()
    assert await window.page.evaluate("navigator.clipboard.readText()") == token


async def test_escape_closes_a_dialog_and_nothing_was_done(new_window: NewWindow, operator: Person) -> None:
    org = new_org(operator)
    key = org.user.issue_key("kept")
    window = await new_window()
    await window.login(org.user.email)
    await window.open(f"/orgs/{org.id}/keys/{key['id']}")
    button = window.page.get_by_role("link", name="Revoke this key")
    await button.focus()
    await window.page.keyboard.press("Enter")
    dialog = window.page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    assert await dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    await window.page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(button).to_be_focused()
    assert call(org, key["token"])
