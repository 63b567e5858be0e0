"""Whatever happens in whatever order, the sums are right: the Function library against a plain model."""

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ias.contract import admission
from ias.contract.admission import Admitted
from ias.edge import Edge
from tests.integration.contract.ground import Org
from tests.services import Service

BUDGET = 1500
COUNTS = st.integers(0, 200)


@dataclass
class Request:
    """What the model knows of a request."""

    admitted: Admitted
    settled: tuple[int, int] | None = None
    seen: tuple[int, int] = (0, 0)
    lapsed: bool = False


class Books(RuleBasedStateMachine):
    """Reserve, repeat, tick, settle and sweep."""

    url = ""
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.org = self.runner.run(self._begin())
        self.open: dict[str, Request] = {}
        self.used = 0

    async def _begin(self) -> Org:
        return await Org(Edge(self.url)).whole(tokens=BUDGET, floor=1)

    @rule(target=requests, prompt=st.integers(1, 300), output=st.integers(0, 300), n=st.integers(1, 3))
    def reserve(self, prompt: int, output: int, n: int) -> str:
        request_id = f"s{len(self.open)}"
        answer = self.runner.run(self.org.reserve(request_id, prompt=prompt, output=output, n=n))
        left = BUDGET - self.used - self.held
        if isinstance(answer, Admitted):
            assert answer.held == prompt + n * answer.output <= left
            assert 1 <= answer.output <= (output or 1024)
            self.open[request_id] = Request(answer)
        else:
            assert isinstance(answer, admission.OverBudget)
            assert prompt + n > left
            assert (answer.used, answer.held) == (self.used, self.held)
        return request_id

    @rule(request_id=requests)
    def repeat(self, request_id: str) -> None:
        request = self.open.get(request_id)
        if request is None:
            return
        answer = self.runner.run(self.org.reserve(request_id))
        if request.settled is None:
            assert isinstance(answer, Admitted)
            assert (answer.held, answer.output) == (request.admitted.held, request.admitted.output)
        else:
            assert answer == admission.Duplicate()

    @rule(request_id=requests, more=st.tuples(COUNTS, COUNTS), lapse=st.booleans())
    def tick(self, request_id: str, more: tuple[int, int], lapse: bool) -> None:
        request = self.open.get(request_id)
        if request is None:
            return
        lease = -1 if lapse else 30
        call = admission.tick(self.org.tag, lease, [request_id, *more, 0])
        marks = self.runner.run(self.org.edge.call(call))[2:]
        if request.settled is not None:
            assert marks == [request_id.encode(), b"swept"]
        else:
            assert marks == []
            request.seen, request.lapsed = more, lapse

    @rule(request_id=requests, tokens=st.tuples(COUNTS, COUNTS))
    def settle(self, request_id: str, tokens: tuple[int, int]) -> None:
        request = self.open.get(request_id)
        if request is None:
            return
        answer = self.runner.run(self.org.settle(request_id, request.admitted, *tokens))
        assert answer == (b"already" if request.settled == tokens else b"ok")
        self._charge(request, tokens)

    @rule()
    def sweep(self) -> None:
        lapsed = [request for request in self.open.values() if request.lapsed and request.settled is None]
        assert self.runner.run(self.org.edge.call(admission.sweep(self.org.tag, 100))) == len(lapsed)
        for request in lapsed:
            self._charge(request, request.seen)

    @invariant()
    def the_sums_are_right(self) -> None:
        assert self.runner.run(self.org.budget()) == (self.used, self.held)
        lines = self.runner.run(self.org.outbox())
        assert sum(int(line["pt"]) + int(line["ct"]) for line in lines) == self.used
        assert len({(line["r"], line["l"]) for line in lines}) == len(lines)
        firsts = {line["r"] for line in lines if line["l"] == "1"}
        assert firsts == {name for name, request in self.open.items() if request.settled is not None}

    @property
    def held(self) -> int:
        return sum(request.admitted.held for request in self.open.values() if request.settled is None)

    def _charge(self, request: Request, tokens: tuple[int, int]) -> None:
        self.used += sum(tokens) - sum(request.settled or (0, 0))
        request.settled = tokens

    def teardown(self) -> None:
        self.runner.run(self.org.edge.close())
        self.runner.close()


async def test_no_order_of_events_spoils_the_books(server: Service, edge: Edge) -> None:
    assert await edge.library_is_current()
    machine = type("BooksHere", (Books,), {"url": server.url})
    few = settings(
        max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=few)
