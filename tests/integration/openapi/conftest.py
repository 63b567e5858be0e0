"""An api process that everything may be done to."""

from collections.abc import Iterator

import pytest
import requests

from tests.integration.identity.conftest import environment, migrated, running
from tests.integration.openapi.ground import Ground
from tests.services import Services

__all__ = ["ground", "migrated"]


@pytest.fixture(scope="session")
def ground(services: Services, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An api process with a database of its own: whoever asks may remove everything."""
    with services.database(migrated) as url:
        env = environment(url, services.redis_url) | {"IAS_TRUSTED_PROXIES": "127.0.0.1/32"}
        with running(tmp_path_factory.mktemp("api"), env) as api, requests.Session() as session:
            session.trust_env = False
            yield Ground(api, session)
