"""What people do by pages that more than one test needs."""

from tests.browser.watching import Window
from tests.product.people import PASSWORD


async def make_key(window: Window, label: str) -> str:
    """Make a key, from the page that leads to it; its token, which is shown once."""
    page = window.page
    await page.get_by_label("Name").fill(label)
    await page.get_by_role("button", name="Make the key").click()
    return await page.locator("#token").inner_text()


async def invite(window: Window, email: str, role: str) -> str:
    """Invite somebody, from a page that leads to it; the link to hand over."""
    page = window.page
    await page.get_by_role("link", name="Invite").first.click()
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Role").select_option(role)
    await page.get_by_role("button", name="Make the link").click()
    return await page.locator("#link").inner_text()


async def join(window: Window, link: str, name: str, password: str = PASSWORD) -> None:
    """Accept an invite."""
    await window.open(link)
    await window.page.get_by_label("Your name").fill(name)
    await window.page.get_by_label("A new password").fill(password)
    await window.page.get_by_role("button", name="Join").click()
