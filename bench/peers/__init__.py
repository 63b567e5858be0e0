"""The proxies side by side: ours, and those that a user could take instead."""

from bench.peers import gateway, litellm, nginx, routers, yardstick
from bench.peers.peer import Absent, Offer, Peer

AS_WRITTEN = "ias-gateway-as-written"
OFFERS: dict[str, Offer] = {
    "direct": gateway.direct,
    "ias-gateway": gateway.ours,
    AS_WRITTEN: gateway.as_written,
    "nginx": nginx.offer,
    "vllm-router": routers.vllm,
    "sglang-router": routers.sglang,
    "asgi-yardstick": yardstick.offer,
    "litellm": litellm.offer,
}

__all__ = ["AS_WRITTEN", "OFFERS", "Absent", "Offer", "Peer"]
