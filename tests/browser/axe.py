"""axe-core, run on the page that a window shows; its file stands in `vendor/`, with licence and SHA-256."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Page

FOLDER = Path(__file__).parent / "vendor"
RUN = """async (only) => {
    const options = {resultTypes: ["violations"], ...(only ? {runOnly: only} : {})};
    const said = node => `${node.html.slice(0, 160)} ${node.failureSummary.replaceAll("\\n", " ")}`;
    return (await axe.run(document, options)).violations.map(
        each => `${each.id} (${each.help}): ` + each.nodes.slice(0, 4).map(said).join(" | "));
}"""


@cache
def source() -> str:
    """The file, which must be the one that its list names."""
    for package in listed():
        for name, digest in package["files"].items():
            assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
    return (FOLDER / "axe.min.js").read_text()


def listed() -> list[dict[str, Any]]:
    """What is vendored: package, version, licence and files."""
    return msgspec.json.decode((FOLDER / "vendored.json").read_bytes())


async def violations(page: Page, *only: str) -> list[str]:
    """What axe-core finds wrong with the page as it is now, by all its rules or by these."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(source())
    found: list[str] = await page.evaluate(RUN, list(only) or None)
    return found
