"""The playground of the whole product streams what a real vLLM says, and its tokens are those of the ledger."""

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewWindow, browser, new_window, program
from tests.browser.demo import eventually
from tests.engine.rig import NAME
from tests.product import Product, product
from tests.product.people import new_org, system_admin
from tests.product.processes import Process
from tests.services import Services

__all__ = ["browser", "new_window", "program", "running"]


@pytest.fixture(scope="session")
def running(vllm: Process, services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The whole product, with the real model registered."""
    folder = tmp_path_factory.mktemp("product")
    with (
        services.database() as database,
        services.fresh("redis") as redis,
        product(folder, database, redis.url, None) as whole,
    ):
        url = vllm.probe.removesuffix("/health")
        system_admin(whole).post("/models", {"name": NAME, "backends": [{"url": url}], "max_output_tokens": 256})
        yield whole


async def test_the_playground_streams_an_answer_of_a_real_model(running: Product, new_window: NewWindow) -> None:
    org = new_org(system_admin(running))
    window = await new_window()
    page = window.page
    await window.login(org.user.email)
    await window.go("Playground")
    await page.get_by_role("button", name="Make a key for an hour").click()
    await page.get_by_label("Model", exact=True).select_option(NAME)
    await page.get_by_label("Tokens at most").fill("120")
    await page.get_by_label("Message", exact=True).fill("Tell me a long story about a ledger.")
    await page.get_by_role("button", name="Send").click()
    answer = page.get_by_role("article").nth(1)
    text = answer.locator(".turn-text").last
    await expect(text).to_have_text(re.compile(r"\w+ \w+ \w+"))
    early = await text.inner_text()
    await expect(answer.get_by_text(re.compile("^[1-9][0-9]* tokens$"))).to_be_visible()
    assert (await text.inner_text()).startswith(early)
    assert len(await text.inner_text()) > len(early)
    shown = int((await answer.get_by_text(re.compile("^[1-9][0-9]* tokens$")).inner_text()).split()[0])

    def charged() -> bool:
        totals = org.user.get(f"/analytics/orgs/{org.id}/usage")["totals"]
        return bool(totals["completion_tokens"] == shown)

    eventually(charged, "the ledger has the tokens that the page showed")
