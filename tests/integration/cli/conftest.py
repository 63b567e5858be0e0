"""The api process of identity's tests, and shells that use it."""

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring

from tests.integration.cli.shell import Shell
from tests.integration.identity.conftest import Api, api, database_url, foreign, migrated, org, root

__all__ = ["api", "database_url", "foreign", "migrated", "org", "root", "shell"]


@pytest.fixture(autouse=True, scope="session")
def _no_keyring() -> Iterator[None]:
    """The keyring of whoever runs the tests is theirs."""
    theirs = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(theirs)


@pytest.fixture
def shell(api: Api, tmp_path: Path) -> Shell:
    """A shell in which nobody is logged in."""
    return Shell(tmp_path, api.url)
