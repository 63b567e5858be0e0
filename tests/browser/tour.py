"""A walk through all pages that somebody can get to: along every link, each kind of page once."""

import re
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.browser.watching import Window

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NOT_PAGES = re.compile(r"^/(api|static|openapi)/|/export|[.](csv|json)$")
LINKS = "links => links.filter(a => !a.hasAttribute('download')).map(a => a.href)"


def kind(address: str) -> str:
    """What pages of one template have in common: the path, with `…` for ids."""
    return ID.sub("…", urlsplit(address).path)


async def tour(window: Window, *starts: str) -> AsyncIterator[str]:
    """Go to page after page, from these; yields the kind of each while the window shows it.

    All starts are shown, and of each further kind of page one.
    """
    waiting, seen, shown = deque(starts), set(starts), set[str]()
    while waiting:
        path = waiting.popleft()
        if kind(path) in shown and path not in starts:
            continue
        answer = await window.open(path)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        assert answer.status < 500, f"{path}: {answer.status} {await answer.text()}"
        shown |= {kind(path), kind(window.page.url)}
        yield kind(window.page.url)
        for link in await window.page.eval_on_selector_all("a[href]", LINKS):
            there = link.removeprefix(window.url).partition("#")[0]
            if there.startswith("/") and there not in seen and not NOT_PAGES.search(urlsplit(there).path):
                seen.add(there)
                waiting.append(there)
