"""The two calls that each request makes to the Function library, as bytes of Redis's protocol, each in one piece.

`pack` does it for any command, argument by argument, at ten times the cost. Each form is one literal where it is used:
so compiled code joins it in one step, and would not find it behind a name.
"""

from ias.contract.admission import Admitted
from ias.contract.asks import Ask
from ias.contract.told import reservation
from ias_gateway.admission import Caller


def reserve(caller: Caller, request_id: str, ask: Ask, holder: tuple[str, int]) -> bytes:
    """What `admission.reserve` is, packed."""
    key, told = caller.slot, reservation(caller.fingerprint, request_id, ask, holder)
    return b"*5\r\n$5\r\nFCALL\r\n$18\r\nias_reserve_packed\r\n$1\r\n1\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        len(key),
        key,
        len(told),
        told,
    )


def settle(caller: Caller, told: bytes, facts: bytes, admitted: Admitted, gateway: bytes) -> bytes:
    """What `admission.settle` with its holder is, packed; `told` is a `settlement`."""
    key, user, period = caller.slot, admitted.user.encode(), admitted.period.encode()
    return (
        b"*9\r\n$5\r\nFCALL\r\n$17\r\nias_settle_packed\r\n$1\r\n1\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
        b"$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
        % (
            len(key),
            key,
            len(told),
            told,
            len(facts),
            facts,
            len(user),
            user,
            len(period),
            period,
            len(gateway),
            gateway,
        )
    )
