"""The api process of identity's tests, and shells that use it."""

from pathlib import Path

import pytest

from tests.integration.cli.shell import Shell
from tests.integration.identity.conftest import Api, api, database_url, foreign, migrated, org, root

__all__ = ["api", "database_url", "foreign", "migrated", "org", "root", "shell"]


@pytest.fixture
def shell(api: Api, tmp_path: Path) -> Shell:
    """A shell in which nobody is logged in."""
    return Shell(tmp_path, api.url)
