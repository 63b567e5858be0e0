"""How the engine of a module's `place` is called."""

from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from tests.integration.dev.engine_place import Place


@pytest.fixture
async def client(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=place.url) as client:
        yield client


@pytest.fixture
async def sdk(place: Place) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{place.url}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk
