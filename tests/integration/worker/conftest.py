"""Fixtures of accounting."""

from tests.integration.billing.ground import database_url, ground, migrated, org

__all__ = ["database_url", "ground", "migrated", "org"]
