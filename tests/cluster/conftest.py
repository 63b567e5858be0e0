"""The tenants of the gateway's tests."""

from tests.integration.gateway.conftest import tenants

__all__ = ["tenants"]
