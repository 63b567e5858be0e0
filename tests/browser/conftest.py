"""One running product, one Chromium, and windows of it for whoever looks."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.chromium import ARGUMENTS, Chromium, NoChromium, chromium
from tests.browser.demo import Demo, demo
from tests.browser.watching import Window
from tests.product import Person, Product, product
from tests.product.people import register_mock, system_admin
from tests.services import Services

PATIENCE_MS = 20_000
"""How long a page may take to become what a test expects; a slow machine must not fail it."""

expect.set_options(timeout=PATIENCE_MS)

NewWindow = Callable[..., Awaitable[Window]]


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> Chromium:
    """Chromium; where there is none, what needs it is skipped."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            click.echo(f"chromium: {text}", file=sys.stderr)

    try:
        return chromium(say)
    except NoChromium as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Git repositories that organisations may be bound to."""
    return tmp_path_factory.mktemp("repositories")


@pytest.fixture(scope="session")
def running(
    program: Chromium, services: Services, repositories: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    """The whole product."""
    folder = tmp_path_factory.mktemp("product")
    settings = {
        "IAS_GITOPS_LOCAL": str(repositories),
        "IAS_GITOPS_DIR": str(folder / "mirrors"),
        "IAS_GITOPS_EVERY_S": "2",
    }
    with (
        services.database() as database,
        services.fresh("redis") as redis,
        product(folder, database, redis.url, None, settings) as whole,
    ):
        yield whole


@pytest.fixture(scope="session")
def operator(running: Product) -> Person:
    """The system admin of a platform that serves `mock-gpt`."""
    person = system_admin(running)
    register_mock(person)
    return person


@pytest.fixture(scope="session")
def demo_platform(operator: Person, repositories: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Organisations that have been in use for weeks. Tests look at them, and change nothing."""
    return demo(operator, repositories, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
async def browser(program: Chromium) -> AsyncIterator[Browser]:
    """The one browser of this process."""
    async with async_playwright() as driver:
        launched = await driver.chromium.launch(
            executable_path=program.program, env=dict(program.env) or None, args=ARGUMENTS, timeout=60_000
        )
        try:
            yield launched
        finally:
            await launched.close()


@pytest.fixture
async def new_window(browser: Browser, running: Product) -> AsyncIterator[NewWindow]:
    """Opens windows that share nothing; whatever their pages did wrong fails the test at its end."""
    opened: list[Window] = []

    async def new(*, scripts: bool = True, **options: Any) -> Window:
        context = await browser.new_context(java_script_enabled=scripts, reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE_MS)
        window = Window(running.api_url, context, await context.new_page(), scripts)
        window.watch()
        opened.append(window)
        return window

    yield new
    for window in opened:
        await window.context.close()
    assert [each for window in opened for each in window.noted] == []


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
async def window(request: pytest.FixtureRequest, new_window: NewWindow) -> Window:
    """A window, once with JavaScript and once without."""
    return await new_window(scripts=request.param)
