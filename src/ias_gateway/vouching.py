"""Whether a key is one that may call, asked before a large body is read: a key's checksum anybody can make up.

Reading takes time from all tenants. A request with a small body is read first: that costs less than asking.
"""

from collections.abc import Sequence
from typing import Final, cast

from ias.contract import admission as contract
from ias_gateway import admission
from ias_gateway.admission import Caller
from ias_gateway.clock import now
from ias_gateway.ledger import Ledger
from ias_gateway.redis import pack
from ias_gateway.store import Store

LASTS_S: Final = 60.0
MOST_REMEMBERED: Final = 4096


class Recent:
    """Keys that were found good in the last minute, by their fingerprints."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def has(self, fingerprint: str, moment: float) -> bool:
        """Whether it was found good lately; `moment` is now, in seconds."""
        return self._until.get(fingerprint, 0.0) > moment

    def note(self, fingerprint: str, moment: float) -> None:
        """It is good."""
        if len(self._until) >= MOST_REMEMBERED:
            self._until.clear()
        self._until[fingerprint] = moment + LASTS_S


class Vouching:
    """Asks Redis about callers."""

    def __init__(self, redis: Store, ledger: Ledger) -> None:
        self._redis = redis
        self._ledger = ledger
        self._recent = Recent()

    async def vouch(self, caller: Caller) -> None:
        """See that the caller may call anything at all.

        Raises:
            ApiError: they may not.
            RedisDown: there is no answer.
        """
        if not self._recent.has(caller.fingerprint, now()):
            await self.routes(caller)
            self._recent.note(caller.fingerprint, now())

    async def routes(self, caller: Caller) -> Sequence[bytes]:
        """The routes of the models that the caller may call, encoded. Raises as `vouch`."""
        asked = pack(contract.models(caller.tag, caller.fingerprint))
        reply = cast("contract.Reply", await self._redis.ask(caller.tag, asked))
        if reply[0] == b"ok":
            return cast("list[bytes]", reply[2])
        refused = contract.read_refusal(reply)
        if isinstance(refused, contract.NotReady) and refused.unknown_org:
            refused = await self._ledger.unknown_organisation(caller.tag)
        raise admission.refusal(refused, "")
