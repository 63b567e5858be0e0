"""A browser's window that notes whatever a page must not do: errors, reports of the policy, requests to elsewhere."""

import time
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response

from tests.product.people import PASSWORD

EXPECTED = ("Failed to load resource: the server responded with a status of 4", "htmx:sendAbort")
"""What is said without anything being wrong: a page was answered with 400 to 499, which tests see in the page itself;
a page was left while it asked for something."""


@dataclass
class Window:
    """Somebody's browser, with one page open. `noted` is what was wrong so far."""

    url: str
    context: BrowserContext
    page: Page
    scripts: bool
    noted: list[str] = field(default_factory=list)
    loaded: list[Response] = field(default_factory=list)

    async def open(self, path: str) -> Response:
        """Go to a page of the console."""
        answer = await self.page.goto(urljoin(self.url, path))
        assert answer is not None, path
        return answer

    async def go(self, label: str) -> None:
        """Follow a link of the navigation."""
        await self.page.get_by_label("Main", exact=True).get_by_role("link", name=label, exact=True).click()

    async def until_gone(self, there: Locator, patience_s: float = 60) -> None:
        """Open the page anew until it shows this no more: for what is counted a moment after it happened."""
        end = time.monotonic() + patience_s
        while await there.count():
            assert time.monotonic() < end, f"{self.page.url} still shows {there}"
            await self.page.wait_for_timeout(300)
            await self.page.reload()

    async def login(self, email: str, password: str = PASSWORD) -> None:
        """Log in by the page."""
        await self.open("/login")
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_url(lambda address: urlsplit(address).path != "/login")

    def watch(self) -> None:
        """Note whatever any page of this browser does from now on."""
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.noted.append(f"{error.page and error.page.url}: {error.error}"))
        self.context.on("request", self._asked)
        self.context.on("response", self._came)
        self.context.on("dialog", lambda dialog: self.noted.append(f"a dialog says {dialog.message}"))

    def _came(self, answer: Response) -> None:
        self.loaded.append(answer)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED):
            self.noted.append(f"{message.page and message.page.url}: {message.text}")

    def _asked(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme in {"data", "blob"}:
            return
        if asked.netloc != urlsplit(self.url).netloc:
            self.noted.append(f"{request.frame.url} asked {request.url}")
        if asked.path.startswith("/csp-reports"):
            self.noted.append(f"{request.frame.url} broke the policy: {request.post_data}")
