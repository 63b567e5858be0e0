"""Everything that gateways, workers and administrators do, in any order, with every sum checked after each step."""

from itertools import product
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ias.contract import admission, books, catalogue, key_records
from ias.contract.admission import Admitted, Ask, Reply
from ias.contract.key_records import of_key
from tests.integration.contract.driven import CLOCK, Table
from tests.integration.contract.ground import FREE, ORG, ROUTE
from tests.integration.contract.model import Key, Line, Organisation, Request, Tokens

GATEWAYS = ("gw-a", "gw-b")
USERS = ("user-a", "user-b")
SECOND = 1_000_000
DAY_S = 86_400
MODEL, ENDPOINT = "llama", "/v1/chat/completions"

ORGS = st.integers(0, 1)
SOME = st.integers(0, 300)
BUDGETS = st.sampled_from((-1, -1, 20_000, 9_000, 4_000, 1_500, 300, 0))
CROWDS = st.sampled_from((-1, -1, -1, 3, 1))
SELDOM = st.sampled_from((False, False, False, True))
POLICIES = st.fixed_dictionaries(
    {"tokens": BUDGETS, "udef": BUDGETS, "conc": CROWDS, "uconc": CROWDS, "floor": st.sampled_from((1, 16, 100))},
    optional={f"u:{user}": BUDGETS for user in USERS},
)
WAITS = st.sampled_from((0, 1, 2, 5, 31, 3_600, DAY_S, 40 * DAY_S))
LEASES = st.sampled_from((30, 2, 0))
OUTPUTS = st.one_of(st.integers(1, 300), st.sampled_from((admission.NOT_ASKED, admission.NO_OUTPUT)))
PROMPTS = st.one_of(SOME, st.sampled_from((-1, -2, -3)))
"""Tokens; or as many as leave the least output that is granted, one more or one less."""
ASKS = st.lists(st.tuples(PROMPTS, st.sampled_from((1, 2, 3)), OUTPUTS), min_size=1, max_size=4)
WAYS = st.sampled_from(("user", "organisation", "key", "older key", "older section"))
CAPS = st.sampled_from((None, 20_000, 4_000, 1_500, 300, 0))


class Books(RuleBasedStateMachine):
    """Two organisations of two users with two keys each, two gateways, one Redis by a driven clock."""

    table: ClassVar[Table]
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.table.begin()
        self.orgs = [Organisation(USERS) for _ in range(2)]
        self.made = 0

    # What administrators do.

    @initialize(target=requests, asked=ASKS)
    def found(self, asked: list[tuple[int, int, int]]) -> object:
        for org in self.orgs:
            org.keys = [Key(user, f"{number:02}" * 32) for number, user in enumerate(USERS * 2)]
            org.policy = dict(FREE)
            org.versions.update(("org", "pol", "routes"))
            self._rebuild(org)
        return self.reserve(0, 0, GATEWAYS[0], asked, 30)

    @rule(place=ORGS, policy=POLICIES)
    def limit(self, place: int, policy: dict[str, int]) -> None:
        org = self.orgs[place]
        org.policy = {**FREE, **policy}
        org.versions["pol"] += 1
        assert self._project(org, "pol") == 1

    @rule(place=ORGS, way=WAYS, which=st.integers(0, 3), out=SELDOM, some=st.sampled_from((0, 1, 5)))
    def administer(self, place: int, way: str, which: int, out: bool, some: int) -> None:
        org = self.orgs[place]
        key = org.keys[which]
        if way in ("user", "organisation"):
            self._suspend(org, key.user if way == "user" else "", out)
        elif way == "key":
            key.active, key.version = not out, key.version + 1
            key.expires_at = self.table.second + some if some else None
            assert self._tell_key(org, key) == 1
        elif way == "older key":
            self._tell_of_an_older_key(org, key, some)
        else:
            self._tell_of_an_older_section(org, ("org", "pol", "routes")[which % 3], some)

    @rule(place=ORGS, which=st.integers(0, 3), cap=CAPS)
    def cap(self, place: int, which: int, cap: int | None) -> None:
        """Where there was none, what the key uses is counted first, and what it used this month added."""
        org = self.orgs[place]
        key = org.keys[which]
        if key.cap is None and cap is not None and org.complete:
            self._count(org, key)
        key.cap, key.version = cap, key.version + 1
        assert self._tell_key(org, key) == 1

    def _count(self, org: Organisation, key: Key) -> None:
        period = self.table.period
        answer = self.table.call(key_records.count(org.tag, [(key.fingerprint, key.id)]))
        begun = key_records.read_count(answer)
        assert begun is not None
        assert (begun.period, begun.counted) == (period, (org.used_by(period, key.id),))
        org.count_for(period, key)
        own = [line for line in org.counted if (line.period, line.key) == (period, key.id)]
        missing = sum(line.amount for line in own) - begun.counted[0]
        month = books.Month(begun.period, begun.fence, {})
        assert self.table.call(books.repair(org.tag, month, {of_key(key.id): missing})) == 1
        org.counted_for_keys = [line for line in org.counted_for_keys if (line.period, line.key) != (period, key.id)]
        org.counted_for_keys += own

    def _suspend(self, org: Organisation, whom: str, out: bool) -> None:
        org.suspended = org.suspended | {whom} if out else org.suspended - {whom}
        org.versions["org"] += 1
        assert self._project(org, "org") == 1

    def _tell_of_an_older_section(self, org: Organisation, section: str, back: int) -> None:
        junk = {"org": {"id": "other", "st": "suspended"}, "pol": dict.fromkeys(FREE, 0), "routes": {}}[section]
        if section in org.told:
            version = max(0, org.told[section] - back)
            assert self.table.call(admission.project(org.tag, section, version, junk)) == 0

    def _tell_of_an_older_key(self, org: Organisation, key: Key, back: int) -> None:
        if key.fingerprint in org.told_keys:
            version = max(0, key.version - back)
            owner = (key.fingerprint[:4], key.user)
            call = admission.revoke if key.active else lambda *of: admission.grant(*of, None)
            assert self.table.call(call(org.tag, key.fingerprint, version, owner)) == 0

    # What time does, and sweepers.

    @rule(place=ORGS, seconds=WAITS, us=st.sampled_from((1, 1, SECOND - 1)), most=st.sampled_from((100, 1, 0)))
    def time_passes(self, place: int, seconds: int, us: int, most: int) -> None:
        self.table.advance(seconds * SECOND + us)
        if most:
            self._sweep(self.orgs[place], most)

    @rule(target=requests, place=ORGS, almost=st.booleans())
    def a_key_or_a_lease_ends(self, place: int, almost: bool) -> object:
        """Up to that very second, or the one before; every key is tried."""
        org, now = self.orgs[place], self.table.second
        ends = [*(each.deadline for each in org.live()), *(key.expires_at or 0 for key in org.keys)]
        seconds = min((end - now for end in ends if end > now), default=0) - int(almost)
        self.table.advance(max(0, seconds) * SECOND - self.table.us % SECOND * (seconds > 0) + 1)
        self._sweep(org, 100)
        made = [self._reserve(org, key, (GATEWAYS[0], 2), (1, 1, 1)) for key in org.keys]
        return multiple(*((place, name) for name in made if name))

    def _sweep(self, org: Organisation, most: int) -> None:
        live = [(each.deadline, name) for name, each in org.requests.items() if each.live]
        lapsed = sorted(one for one in live if one[0] <= self.table.second)[: most if "org" in org.told else 0]
        assert self.table.call(admission.sweep(org.tag, most)) == len(lapsed)
        for _, name in lapsed:
            org.settle(name, org.requests[name].truth, "gateway_lost")

    # What gateways do.

    @rule(
        target=requests,
        place=ORGS,
        which=st.integers(0, 3),
        gateway=st.sampled_from(GATEWAYS),
        asked=ASKS,
        lease=LEASES,
    )
    def reserve(self, place: int, which: int, gateway: str, asked: list[tuple[int, int, int]], lease: int) -> object:
        key = self.orgs[place].keys[which]
        made = (self._reserve(self.orgs[place], key, (gateway, lease), one) for one in asked)
        return multiple(*((place, name) for name in made if name))

    def _reserve(self, org: Organisation, key: Key, holder: tuple[str, int], asked: tuple[int, int, int]) -> str:
        (prompt, n, output), self.made = asked, self.made + 1
        prompt = prompt if prompt >= 0 else org.edge(key, self.table.period, n, output) + prompt + 2
        prompt = max(0, prompt)
        request_id = f"r{self.made}"
        ask = Ask(MODEL, prompt, n, output, ENDPOINT, streamed=False)
        period, second = self.table.period, self.table.second
        expected = org.granted(key, ask, period, second)
        call = admission.reserve(org.tag, key.fingerprint, request_id, ask, holder)
        answer = admission.read_reserve(self.table.call(call))
        if not isinstance(expected, int):
            assert answer == expected
            return ""
        assert isinstance(answer, Admitted), (answer, expected)
        held = prompt + n * expected
        assert (answer.org, answer.user, answer.key) == (ORG, key.user, key.fingerprint[:4])
        assert (answer.output, answer.held, answer.period) == (expected, held, period)
        capped = key.cap is not None
        counted = org.policy["uconc"] >= 0
        request = Request(key, holder[0], answer, ask, second + holder[1], capped=capped, counted=counted)
        org.requests[request_id] = request
        org.known.add(request_id)
        org.key_months |= {(period, key.id)} if capped else set()
        for left in (org.left(period), org.left(period, key.user), org.left_of(key, period)):
            assert held == 0 or left >= 0, "a budget is passed"
        return request_id

    @rule(name=requests, gateway=st.sampled_from(GATEWAYS))
    def reserve_again(self, name: tuple[int, str], gateway: str) -> None:
        org, request_id, request = self._find(name)
        if request_id not in org.known and org.complete:
            return  # whoever lost a request that Redis has lost too asserts it again, it does not ask for it anew
        call = admission.reserve(org.tag, request.key.fingerprint, request_id, request.ask, (gateway, 30))
        answer = admission.read_reserve(self.table.call(call))
        no = org.turned_away(request.key, self.table.second)
        if no is not None:
            assert answer == no
        elif request.live and gateway == request.gateway:
            assert answer == request.admitted
        else:
            assert answer == admission.Duplicate()

    @rule(place=ORGS, gateway=st.sampled_from(GATEWAYS), more=st.tuples(SOME, SOME, SOME), lease=LEASES)
    def tick(self, place: int, gateway: str, more: Tokens, lease: int) -> None:
        if self._tick(self.orgs[place], gateway, more, lease):
            self._tick(self.orgs[place], gateway, more, lease)

    def _tick(self, org: Organisation, gateway: str, tokens: Tokens, lease: int) -> bool:
        """Whether anything was lost, and is asserted again."""
        mine = {name: each for name, each in org.requests.items() if each.gateway == gateway and each.open}
        marks = [(name, mark) for name in mine if (mark := self._mark(org, name, tokens, lease))]
        flat = [part for name in mine for part in (name, *tokens)]
        answer = admission.read_tick(self.table.call(admission.tick(org.tag, lease, flat)))
        assert (answer.marks, answer.now) == (tuple(marks), self.table.second)
        lost = [name for name, mark in marks if mark == "unknown"]
        for name in lost:
            self._reassert(org, name, lease)
        return bool(lost)

    @rule(name=requests, lease=LEASES)
    def assert_again(self, name: tuple[int, str], lease: int) -> None:
        org, request_id, request = self._find(name)
        if request.open:
            self._reassert(org, request_id, lease)

    @rule(name=requests, truth=st.tuples(SOME, SOME, SOME))
    def settle(self, name: tuple[int, str], truth: Tokens) -> None:
        org, request_id, request = self._find(name)
        if request.open or request_id in org.known:
            self._settle(org, request_id, truth)

    @rule(name=consumes(requests))
    def settle_as_before(self, name: tuple[int, str]) -> None:
        org, request_id, request = self._find(name)
        if request.open or request_id in org.known:
            self._settle(org, request_id, request.truth)

    # What workers do.

    @rule(place=ORGS, forget=st.booleans())
    def relay(self, place: int, forget: bool) -> None:
        org = self.orgs[place]
        for line in org.outbox:
            assert org.ledger.setdefault((line.request, line.number), line) == line
        if forget:
            for entry, _ in self.table.redis.xrange(admission.outbox(org.tag)):
                self.table.redis.xdel(admission.outbox(org.tag), entry)
            org.outbox.clear()
        self._check_lines(org)
        assert self.table.call(("FCALL", "ias_recount", 1, admission.slot(org.tag))) == []

    @rule(really=SELDOM, heard=st.booleans(), healed=st.sampled_from(("01", "01", "0", "1", "")))
    def lose_redis(self, really: bool, heard: bool, healed: str) -> None:
        if not really:
            return
        self._lose()
        for gateway, place in product(GATEWAYS if heard else (), range(len(self.orgs))):
            self.tick(place, gateway, (1, 1, 0), 30)
        for place in map(int, healed):
            self._rebuild(self.orgs[place])

    @precondition(lambda self: not all(org.complete for org in self.orgs))
    @rule(place=ORGS)
    def rebuild(self, place: int) -> None:
        if not self.orgs[place].complete:
            self._rebuild(self.orgs[place])

    # What must hold.

    @invariant()
    def every_sum_is_right(self) -> None:
        names = {name.decode() for name in self.table.redis.scan_iter(count=10_000)} - {CLOCK}
        for org in self.orgs:
            own = {name for name in names if name.startswith(admission.slot(org.tag))}
            names -= own
            self._check(org, own)
        assert not names, "keys outside the organisations' hash tags"

    def _check(self, org: Organisation, names: set[str]) -> None:
        slot, live = admission.slot(org.tag), {name: each for name, each in org.requests.items() if each.live}
        months = {line.period for line in org.counted} | {each.admitted.period for each in org.requests.values()}
        months |= {name.rpartition(":")[2] for name in names if ":bud:" in name}
        pipeline = self.table.redis.pipeline(transaction=False)
        pipeline.xrange(admission.outbox(org.tag))
        pipeline.zrange(f"{slot}:resv", 0, -1, withscores=True)
        pipeline.hgetall(f"{slot}:g")
        for period in months:
            pipeline.hgetall(f"{slot}:bud:{period}")
        entries, leases, counts, *budgets = pipeline.execute()
        assert [_line(fields) for _, fields in entries] == [_as_told(line) for line in org.outbox]
        assert {name.decode(): score for name, score in leases} == {name: each.deadline for name, each in live.items()}
        assert {name.rpartition(":")[2] for name in names if f"{slot}:r:" in name} == org.known
        for user in USERS:
            assert int(counts.get(f"l:{user}".encode(), 0)) == org.under_way(user)
        for period, budget in zip(months, budgets, strict=True):
            for used, held, user in (("used", "resv", None), *((f"u:{user}", f"r:{user}", user) for user in USERS)):
                found = (int(budget.get(used.encode(), 0)), int(budget.get(held.encode(), 0)))
                assert found == (org.used(period, user), org.held(period, user)), (period, user)
            for key in org.keys:
                found = [budget.get(f"{kind}:{key.id}".encode()) for kind in "kh"]
                right = [b"%d" % of(period, key.id) for of in (org.used_by, org.held_by)]
                assert found == (right if (period, key.id) in org.key_months else [None, None]), (period, key)

    def _check_lines(self, org: Organisation) -> None:
        """Each request that is over has a line 1, no gap behind it, and all of them together say its last truth."""
        lines = org.lines()
        for name, request in org.requests.items():
            own = [line for line in lines if line.request == name]
            assert [line.number for line in own] == list(range(1, len(own) + 1))
            if own and not request.live:
                assert request.truth == tuple(map(sum, zip(*(line.tokens for line in own), strict=True)))
            assert own or request.live or request.open or name in org.kept

    # How it is done.

    def _find(self, name: tuple[int, str]) -> tuple[Organisation, str, Request]:
        org = self.orgs[name[0]]
        return org, name[1], org.requests[name[1]]

    def _mark(self, org: Organisation, name: str, tokens: Tokens, lease: int) -> str:
        request = org.requests[name]
        if name not in org.known:
            return "unknown"
        if not request.live:
            return "swept"
        request.truth, request.deadline = tokens, self.table.second + lease
        if request.key.fingerprint in org.told_keys and not request.key.active:
            return "revoked"
        return "suspended" if "org" in org.told and org.suspended & {"", request.key.user} else ""

    def _reassert(self, org: Organisation, name: str, lease: int) -> None:
        request = org.requests[name]
        admitted = request.admitted
        began = (*request.truth, admitted.key, request.key.fingerprint, MODEL, ORG, ENDPOINT, 0, self.table.us)
        record = (admitted.held, admitted.period, admitted.user, admitted.output, *began)
        done = self.table.call(admission.reassert(org.tag, name, record, (request.gateway, lease)))
        assert done == int(name not in org.known)
        if done:
            org.known.add(name)
            request.live, request.deadline = True, self.table.second + lease
            request.capped, request.counted = (admitted.period, admitted.key) in org.key_months, True

    def _settle(self, org: Organisation, name: str, truth: Tokens) -> None:
        request = org.requests[name]
        line = org.settle(name, truth, "completed")
        request.open = False
        facts = b'{"user":"","key":"%b"}' % request.key.id.encode()
        call = admission.settle(org.tag, name, truth, ("completed", False), facts)
        answer = self.table.call((*call, *admission.holder_of(request.admitted, request.gateway)))
        assert answer[:2] == ([b"already", request.lines] if line is None else [b"ok", line.number])

    def _project(self, org: Organisation, section: str) -> Reply:
        fields: dict[str, admission.Argument] = {}
        if section == "org":
            fields = {"id": ORG, "st": "suspended" if "" in org.suspended else "active"}
            fields |= {f"x:{user}": 1 for user in org.suspended - {""}}
        elif section == "pol":
            fields = dict(org.policy)
        else:
            fields = {MODEL: catalogue.encode_route(ROUTE)}
        org.told[section] = org.versions[section]
        return self.table.call(admission.project(org.tag, section, org.versions[section], fields))

    def _tell_key(self, org: Organisation, key: Key) -> Reply:
        org.told_keys.add(key.fingerprint)
        owner = (key.id, key.user)
        if not key.active:
            return self.table.call(admission.revoke(org.tag, key.fingerprint, key.version, owner))
        known = admission.grant(org.tag, key.fingerprint, key.version, owner, key.expires_at)
        return self.table.call((*known, *key_records.Rules(monthly_tokens=key.cap).fields()))

    def _lose(self) -> None:
        for org in self.orgs:
            self._before_the_loss(org)
        self.table.empty()
        for org in self.orgs:
            org.told, org.told_keys, org.known, org.complete = {}, set(), set(), False
            org.outbox, org.counted, org.counted_for_keys, org.key_months = [], [], [], set()
            for request in org.requests.values():
                request.live = request.capped = False

    def _before_the_loss(self, org: Organisation) -> None:
        """One fault at a time: gateways have heard of what was swept, and what they do not keep is in the ledger."""
        for name, request in org.requests.items():
            if request.open and not request.live and name in org.known:
                self._settle(org, name, request.truth)
        for line in org.outbox:
            request = org.requests[line.request]
            if request.lines > 1 or line.outcome == "gateway_lost":
                org.ledger.setdefault((line.request, line.number), line)
            else:
                org.kept.add(line.request)

    def _rebuild(self, org: Organisation) -> None:
        """Gateways send again what the ledger may not have; then the projection, and the month's sums."""
        for name in sorted(org.kept):
            self._settle(org, name, org.requests[name].truth)
        org.kept.clear()
        for section in ("org", "pol", "routes"):
            self._project(org, section)
        for key in org.keys:
            self._tell_key(org, key)
        period, seen = self.table.period, org.used(self.table.period)
        org.counted = [line for line in org.counted if line.period != period]
        org.counted += [line for line in org.lines() if line.period == period]
        capped = [key for key in org.keys if key.cap is not None]
        org.counted_for_keys = [line for line in org.counted_for_keys if line.period != period]
        org.counted_for_keys += [line for line in org.counted if line.period == period and line.key in _ids(capped)]
        parts = {f"u:{user}": org.used(period, user) for user in USERS}
        parts |= {of_key(key.id): org.used_by(period, key.id) for key in capped}
        assert self.table.call(admission.restore(org.tag, period, seen, org.used(period), parts)) == 1
        for key in capped:
            org.count_for(period, key)
        assert self.table.call(admission.complete(org.tag)) == 1
        org.complete = True


def _ids(keys: list[Key]) -> set[str]:
    return {key.id for key in keys}


def _line(fields: dict[bytes, bytes]) -> tuple[str, ...]:
    return tuple(fields[name].decode() for name in (b"r", b"l", b"p", b"pt", b"ct", b"ca", b"o", b"b"))


def _as_told(line: Line) -> tuple[str, ...]:
    numbers = (str(number) for number in line.tokens)
    return (line.request, str(line.number), line.period, *numbers, line.outcome, str(int(line.lower_bound)))
