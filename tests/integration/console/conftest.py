"""The console on real PostgreSQL and Redis, and people who look at it with a browser that has no JavaScript."""

from collections.abc import Callable

import pytest

from tests.integration.console.browser import Browser
from tests.integration.identity.conftest import (
    PASSWORD,
    ROOT,
    Api,
    Member,
    Org,
    api,
    database_url,
    foreign,
    migrated,
    new_org,
    org,
    root,
)

__all__ = ["api", "database_url", "foreign", "migrated", "org", "root"]

Visiting = Callable[[Member], Browser]


@pytest.fixture
def stranger(api: Api) -> Browser:
    """A browser of somebody who is not logged in."""
    return Browser(api.url)


@pytest.fixture
def visiting(api: Api) -> Visiting:
    """A browser of a member, logged in by the page."""

    def enter(member: Member) -> Browser:
        browser = Browser(api.url)
        browser.login(member.email, PASSWORD)
        assert browser.status == 200, browser.answer.text
        return browser

    return enter


@pytest.fixture(scope="session")
def house(api: Api, root: object) -> Org:
    """An organisation that tests share: they add to it, and take nothing away that is not their own."""
    return new_org(api, root)


@pytest.fixture
def admin(visiting: Visiting, house: Org) -> Browser:
    """The browser of the shared organisation's admin."""
    return visiting(house.admin)


@pytest.fixture
def user(visiting: Visiting, house: Org) -> Browser:
    """The browser of one of its users."""
    return visiting(house.user)


@pytest.fixture
def operator(api: Api, root: object) -> Browser:
    """The browser of a system admin."""
    browser = Browser(api.url)
    browser.login(ROOT, PASSWORD)
    return browser
