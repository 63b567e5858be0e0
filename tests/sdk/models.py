"""The mock engine's models, as an organisation may call them."""

from ias.contract import catalogue
from tests.integration.gateway.place import MODEL, Tenant

MODELS = ("mock-embed", "mock-gpt", "mock-reasoner", "mock-rerank", "mock-vision", "mock-whisper")
"""In the order in which the gateway lists them."""

IMAGE_TOKENS = {"mock-vision": 256}


async def allow(tenant: Tenant, *replicas: str) -> None:
    """Route all models to the place's engine, or to these replicas."""
    where = replicas or (tenant.place.engine_url,)
    routes = [
        catalogue.ModelRoute(
            name=name, model_id=MODEL, upstream_name=name, replicas=where, image_tokens=IMAGE_TOKENS.get(name, 0)
        )
        for name in MODELS
    ]
    await tenant.project("routes", {route.name: catalogue.encode_route(route) for route in routes})
