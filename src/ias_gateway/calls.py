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
    told = reservation(caller.fingerprint, request_id, ask, holder)
    return b"%b$%d\r\n%b\r\n" % (caller.reserving, len(told), told)


def settle(caller: Caller, told: bytes, facts: bytes, admitted: Admitted, gateway: bytes) -> bytes:
    """What `admission.settle` with its holder is, packed; `told` is a `settlement`, `gateway` an `argument`."""
    user, period = admitted.user.encode(), admitted.period.encode()
    return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (
        caller.settling,
        len(told),
        told,
        len(facts),
        facts,
        len(user),
        user,
        len(period),
        period,
        gateway,
    )


def argument(value: str) -> bytes:
    """One argument in Redis's protocol."""
    encoded = value.encode()
    return b"$%d\r\n%b\r\n" % (len(encoded), encoded)
