"""An organisation projected by hand into a real Redis, and the calls that gateways make for it."""

from itertools import count

from ias.contract import admission, catalogue, keys
from ias.contract.admission import Admitted, Ask, Refused
from ias.edge import Edge, KeyRecord

ORG, KEY, USER = (f"0192d0c0-0000-7000-8000-{number:012}" for number in (1, 2, 3))
ROUTE = catalogue.ModelRoute(name="llama", model_id=ORG, upstream_name="inner", replicas=("http://127.0.0.1:1",))
FREE = dict.fromkeys(("tokens", "udef", "rps", "tpm", "conc", "urps", "utpm", "uconc", "cap"), -1)
FREE |= {"burst": 1, "uburst": 1, "floor": 16}

_ids = count(1)


class Org:
    """One organisation, projected by hand."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.tag = keys.new_tag()
        self.token = keys.mint(self.tag)
        self.record = KeyRecord(keys.fingerprint(self.token), KEY, USER)
        self.version = 0

    async def project(self, section: str, fields: dict[str, str | bytes | int]) -> None:
        self.version += 1
        await self.edge.project(self.tag, section, self.version, fields)

    async def policy(self, **limits: int) -> None:
        await self.project("pol", {**FREE, **limits})

    async def whole(self, **limits: int) -> "Org":
        await self.project("org", {"id": ORG, "st": "active"})
        await self.project("routes", {"llama": catalogue.encode_route(ROUTE)})
        await self.policy(**limits)
        await self.edge.grant(self.tag, self.record, 1)
        await self.edge.complete(self.tag)
        return self

    async def reserve(self, request_id: str | None = None, **ask: object) -> Admitted | Refused:
        wanted = {"model": "llama", "prompt": 100, "n": 1, "output": 50, "endpoint": "/v1/chat/completions"}
        asked = Ask(**{**wanted, "streamed": False, **{name: ask[name] for name in ask if name not in ("gw", "lease")}})
        holder = (str(ask.get("gw", "gw")), int(str(ask.get("lease", 30))))
        request_id = request_id or f"r{next(_ids)}"
        fingerprint = self.record.fingerprint
        return admission.read_reserve(
            await self.edge.call(admission.reserve(self.tag, fingerprint, request_id, asked, holder))
        )

    async def held(self, **ask: object) -> tuple[str, Admitted]:
        request_id = f"r{next(_ids)}"
        admitted = await self.reserve(request_id, **ask)
        assert isinstance(admitted, Admitted), admitted
        return request_id, admitted

    async def settle(self, request_id: str, admitted: Admitted, *tokens: int, outcome: str = "completed") -> bytes:
        command = admission.settle(self.tag, request_id, (*tokens, 0)[:3], (outcome, False), b"{}")
        return (await self.edge.call((*command, *admission.holder_of(admitted, "gw"))))[0]

    async def budget(self) -> tuple[int, int]:
        standing = await self.edge.standing(self.tag, USER)
        return int(standing[2]), int(standing[3])

    async def outbox(self) -> list[dict[str, str]]:
        entries = await self.edge.redis.xrange(admission.outbox(self.tag))
        return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]
