"""A request that was let in, and what it holds."""

from typing import Final

from ias.contract.answers import NO_RATE, Rate

NEAR_A_LIMIT: Final = -1


class Admitted:
    """The request holds its tokens. `output` is the output limit granted, perhaps less than was asked.

    `risk` is how many tokens less the prompt holds than it could have: 0 where it holds its upper bound. `usual` is the
    output limit of requests that ask for none, told where no limit of the caller's is near, -1 where one is.
    """

    # No Struct: a compiled gateway reads the attributes of its own classes at a tenth of the cost.
    __slots__ = ("held", "key", "org", "output", "period", "requests", "risk", "route", "tokens", "user", "usual")

    def __init__(  # noqa: PLR0913, PLR0917 - one for each thing that is answered
        self,
        org: str,
        user: str,
        key: str,
        route: bytes,
        period: str,
        output: int,
        held: int,
        requests: Rate = NO_RATE,
        tokens: Rate = NO_RATE,
        risk: int = 0,
        usual: int = NEAR_A_LIMIT,
    ) -> None:
        self.org = org
        self.user = user
        self.key = key
        self.route = route
        self.period = period
        self.output = output
        self.held = held
        self.requests = requests
        self.tokens = tokens
        self.risk = risk
        self.usual = usual

    def __eq__(self, other: object) -> bool:
        """Whether the same was admitted: how near a limit is may differ."""
        return isinstance(other, Admitted) and self._parts() == other._parts()

    def __hash__(self) -> int:
        """As equal ones have it."""
        return hash(self._parts())

    def _parts(self) -> tuple[object, ...]:
        who = (self.org, self.user, self.key, self.route, self.period)
        return (*who, self.output, self.held, self.requests, self.tokens, self.risk)
