"""The proxies side by side: ours, and those that a user could take instead."""

from bench.peers import gateway, litellm, nginx, routers, yardstick
from bench.peers.peer import Absent, Offer, Peer

OFFERS: dict[str, Offer] = {
    "direct": gateway.direct,
    "ias-gateway": gateway.ours,
    "ias-gateway-as-written": gateway.as_written,
    "nginx": nginx.offer,
    "vllm-router": routers.vllm,
    "sglang-router": routers.sglang,
    "asgi-yardstick": yardstick.offer,
    "litellm": litellm.offer,
}

__all__ = ["OFFERS", "Absent", "Offer", "Peer"]
