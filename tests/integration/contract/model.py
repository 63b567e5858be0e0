"""The accounting as a plain model: what was promised, with sums that are always added up anew."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ias.contract import admission, keys
from ias.contract.admission import Admitted, Ask, Refused

CAP, CONTEXT = 1024, 8192
Tokens = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """One line of the ledger in the making."""

    request: str
    number: int
    period: str
    user: str
    tokens: Tokens
    outcome: str
    lower_bound: bool
    key: str = ""

    @property
    def amount(self) -> int:
        return self.tokens[0] + self.tokens[1]


@dataclass
class Key:
    """A key as identity has it."""

    user: str
    fingerprint: str
    version: int = 1
    active: bool = True
    expires_at: int | None = None
    cap: int | None = None

    @property
    def id(self) -> str:
        return self.fingerprint[:4]


@dataclass
class Request:
    """A request that was admitted."""

    key: Key
    gateway: str
    admitted: Admitted
    ask: Ask
    deadline: int
    live: bool = True
    """Redis has its reservation."""
    open: bool = True
    """Its gateway has not settled it yet."""
    lines: int = 0
    truth: Tokens = (0, 0, 0)
    """What is settled, or the last checkpoint."""
    capped: bool = False
    """Its reservation is held for its key too."""
    counted: bool = False
    """It counts as under way of its user: their concurrency was limited when it was admitted."""


@dataclass
class Organisation:
    """What identity and billing know, what Redis was told of it, and what has happened."""

    users: tuple[str, ...]
    tag: str = field(default_factory=keys.new_tag)
    keys: list[Key] = field(default_factory=list)
    policy: dict[str, int] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)
    versions: Counter[str] = field(default_factory=Counter)
    told: dict[str, int] = field(default_factory=dict)
    """Versions of the sections that Redis has."""
    told_keys: set[str] = field(default_factory=set)
    complete: bool = False
    requests: dict[str, Request] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    """Requests of which Redis has a reservation or a tombstone."""
    outbox: list[Line] = field(default_factory=list)
    ledger: dict[tuple[str, int], Line] = field(default_factory=dict)
    counted: list[Line] = field(default_factory=list)
    """Lines whose tokens Redis counts as used."""
    counted_for_keys: list[Line] = field(default_factory=list)
    """Lines whose tokens Redis counts as used by their keys."""
    key_months: set[tuple[str, str]] = field(default_factory=set)
    """Months and ids of keys that Redis counts for."""
    kept: set[str] = field(default_factory=set)
    """Settled, but Redis has lost it and the ledger may not have it: what gateways send again."""

    def lines(self) -> list[Line]:
        """What the ledger has and will have, each line once, in the order of their numbers."""
        once = {(line.request, line.number): line for line in self.outbox} | self.ledger
        return sorted(once.values(), key=lambda line: line.number)

    def live(self, user: str | None = None) -> Iterator[Request]:
        """Those that hold tokens, of one user or all."""
        return (each for each in self.requests.values() if each.live and user in (None, each.admitted.user))

    def under_way(self, user: str) -> int:
        """Requests that count against a user's concurrency."""
        return sum(each.counted for each in self.live(user))

    def used(self, period: str, user: str | None = None) -> int:
        """Tokens of a month that are used."""
        return sum(line.amount for line in self.counted if line.period == period and user in (None, line.user))

    def held(self, period: str, user: str | None = None) -> int:
        """Tokens of a month that are held."""
        return sum(each.admitted.held for each in self.live(user) if each.admitted.period == period)

    def used_by(self, period: str, key: str) -> int:
        """Tokens of a month that are used by a key that is counted."""
        return sum(line.amount for line in self.counted_for_keys if (line.period, line.key) == (period, key))

    def held_by(self, period: str, key: str) -> int:
        """Tokens of a month that are held for such a key."""
        return sum(
            each.admitted.held
            for each in self.live()
            if each.capped and (each.admitted.period, each.key.id) == (period, key)
        )

    def count_for(self, period: str, key: Key) -> None:
        """Count for a key from now on, with what is under way."""
        self.key_months.add((period, key.id))
        for each in self.live():
            each.capped = each.capped or (each.admitted.period, each.key) == (period, key)

    def left_of(self, key: Key, period: str) -> float:
        """Tokens of a month that are left of a key's cap."""
        if key.cap is None:
            return float("inf")
        return key.cap - self.used_by(period, key.id) - self.held_by(period, key.id)

    def limit(self, user: str | None = None) -> float:
        """Tokens a month."""
        limit = self.policy["tokens"] if user is None else self.policy.get(f"u:{user}", self.policy["udef"])
        return limit if limit >= 0 else float("inf")

    def left(self, period: str, user: str | None = None) -> float:
        """Tokens of a month that are left."""
        return self.limit(user) - self.used(period, user) - self.held(period, user)

    def edge(self, key: Key, period: str, n: int, output: int) -> int:
        """The longest prompt beside which the least output is granted; 0 where there is no budget."""
        left = min(self.left(period), self.left(period, key.user), self.left_of(key, period))
        least = 0 if output < 0 else max(1, min(self.policy["floor"], output or CAP))
        return int(left) - n * least if left < float("inf") else 0

    def turned_away(self, key: Key, second: int) -> Refused | None:
        """Why this caller is turned away whatever they ask."""
        if not self.complete:
            return admission.NotReady(unknown_org=key.fingerprint not in self.told_keys and "org" not in self.told)
        if not key.active or (key.expires_at is not None and key.expires_at <= second):
            return admission.BadKey()
        if key.user in self.suspended:
            return admission.Suspended("user")
        return admission.Suspended("organisation") if "" in self.suspended else None

    def crowded(self, user: str) -> Refused | None:
        """Why no further request may be under way."""
        for scope, limit, live in (
            ("organisation", self.policy["conc"], len(list(self.live()))),
            ("user", self.policy["uconc"], self.under_way(user)),
        ):
            if 0 <= limit <= live:
                return admission.OverRate("concurrency", scope, limit, 1000)
        return None

    def granted(self, key: Key, ask: Ask, period: str, second: int) -> int | Refused:
        """The output limit that is granted; or the refusal."""
        no = self.turned_away(key, second) or self.crowded(key.user)
        if no is not None:
            return no
        output = 0 if ask.output < 0 else ask.output or CAP
        left = min(self.left(period), self.left(period, key.user), self.left_of(key, period))
        if ask.prompt + ask.n * min(output, CONTEXT) <= left or ask.output == admission.NO_TOKENS:
            return output
        clamped = (left - ask.prompt) // ask.n
        if ask.output < 0 or clamped < max(1, min(self.policy["floor"], output)):
            return self._over_budget(key, period, second)
        return int(clamped)

    def _over_budget(self, key: Key, period: str, second: int) -> admission.OverBudget:
        """The narrowest of the three."""
        of_user = self.left(period, key.user) < self.left(period)
        user = key.user if of_user else None
        if key.cap is not None and self.left_of(key, period) < self.left(period, user):
            used, held = self.used_by(period, key.id), self.held_by(period, key.id)
            return admission.OverBudget("key", key.cap, used, held, period, second)
        scope, limit = "user" if of_user else "organisation", int(self.limit(user))
        return admission.OverBudget(scope, limit, self.used(period, user), self.held(period, user), period, second)

    def settle(self, request_id: str, truth: Tokens, outcome: str) -> Line | None:
        """The line that a settlement makes, if it makes one."""
        request = self.requests[request_id]
        gone = outcome == "gateway_lost"
        before = (0, 0, 0) if request.live or request_id not in self.known else request.truth
        change = (truth[0] - before[0], truth[1] - before[1], truth[2] - before[2])
        again = request_id in self.known and not request.live
        if again and change == (0, 0, 0):
            return None
        number = request.lines + 1 if again else 1
        admitted, key = request.admitted, request.key.id
        for_key = request.capped if request.live else (admitted.period, key) in self.key_months
        request.live, request.truth, request.lines = False, truth, number
        self.known.add(request_id)
        line = Line(request_id, number, admitted.period, admitted.user, change, outcome, gone, key)
        self.outbox.append(line)
        self.counted.append(line)
        if for_key:
            self.counted_for_keys.append(line)
        return line
