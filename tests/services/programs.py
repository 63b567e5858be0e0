"""Services that are programs of this machine, also where the best ones are containers."""

from dataclasses import replace

from tests.services import embedded
from tests.services.stack import Services
from tests.services.worlds import PrivateWorld


def with_programs(services: Services) -> Services:
    """Services that are programs of this machine: what runs in a container tells others an address of its own."""
    if isinstance(services.world, PrivateWorld):
        return services
    place = embedded.prepare(services.folder)
    return replace(services, open_world=lambda: PrivateWorld(place, {}))
