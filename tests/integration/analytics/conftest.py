"""Fixtures of accounting."""

from tests.integration.billing.doors import api, root, team
from tests.integration.billing.ground import database_url, ground, migrated, org

__all__ = ["api", "database_url", "ground", "migrated", "org", "root", "team"]
