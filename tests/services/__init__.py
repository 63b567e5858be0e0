"""Real services for tests, benches and people: given by address, by containers, by Debian, or by wheels."""

from tests.services.ports import free_port
from tests.services.process import ServiceFailed
from tests.services.run import attend, join, new_folder
from tests.services.service import NotOurs, Part, Service
from tests.services.stack import Services

__all__ = ["NotOurs", "Part", "Service", "ServiceFailed", "Services", "attend", "free_port", "join", "new_folder"]
