"""The whole product as processes of a test's own: migrations, api, worker, gateway and the mock engine."""

from tests.platform.people import Org, Person
from tests.platform.processes import Platform, platform

__all__ = ["Org", "Person", "Platform", "platform"]
