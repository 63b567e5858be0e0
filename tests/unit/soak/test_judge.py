"""The soak's judge: it explains what was planned or done, and nothing else."""

import random
from typing import Any

import msgspec
import pytest

from tests.soak.judge import OK, SHED, Harm, Window, judge
from tests.soak.mix import CHAT, FAULT_SHARE, Fault, Kind, Plan, Tenant, draw
from tests.soak.seen import End, Seen

DURING = [Window(harm, 10, 20) for harm in Harm]


def plan(**more: Any) -> Plan:
    return Plan(Kind.STREAM, CHAT, streamed=True, tokens=5, **more)


def seen(status: int = 200, end: End = End.WHOLE, code: str | None = None, **more: Any) -> Seen:
    return Seen(began=11, ended=12, first=11.5, status=status, end=end, code=code, **more)


def test_a_whole_answer_is_explained() -> None:
    assert judge(plan(), seen(), []) == OK
    assert judge(plan(usage=True), seen(tokens=5), []) == OK


def test_an_answer_that_reports_other_tokens_is_not() -> None:
    assert judge(plan(usage=True), seen(tokens=4), DURING) is None
    assert judge(plan(usage=True), seen(tokens=None), DURING) is None


@pytest.mark.parametrize("end", [End.CUT, End.DROPPED, End.UNREACHABLE, End.SILENCE, End.ERROR])
def test_an_answer_that_ends_badly_for_no_reason_is_not(end: End) -> None:
    assert judge(plan(), seen(end=end, code="upstream_error"), []) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "internal_error"), (502, "upstream_error"), (503, "not_ready"), (504, "upstream_timeout")],
)
def test_an_error_for_no_reason_is_not(status: int, code: str) -> None:
    assert judge(plan(), seen(status, code=code, retry_after=True), []) is None


def test_a_500_is_never_explained() -> None:
    for fault in (None, *Fault):
        assert judge(plan(fault=fault), seen(500, code="internal_error"), DURING) is None


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.DIE, 502, "upstream_error"),
        (Fault.HANG, 504, "upstream_timeout"),
        (Fault.ERROR_CHUNK, 502, "upstream_error"),
        (Fault.REFUSE, 503, "server_overloaded"),
    ],
)
def test_a_fault_explains_its_own_error_and_no_other(fault: Fault, status: int, code: str) -> None:
    assert judge(plan(fault=fault), seen(status, code=code), []) == f"fault: {fault}"
    assert judge(plan(fault=fault), seen(200, End.ERROR, code), []) == f"fault: {fault}"
    assert judge(plan(fault=fault), seen(200, End.CUT), []) is None
    assert judge(plan(fault=fault), seen(404, code="model_not_found"), []) is None
    assert judge(plan(fault=fault), seen(tokens=5), []) is None


def test_a_harm_explains_what_it_does_while_it_is_felt() -> None:
    replica, worker, restart = DURING
    broke = seen(200, End.ERROR, "upstream_error")
    assert judge(plan(), broke, [replica]) == f"harm: {Harm.REPLICA_KILLED}"
    assert judge(plan(), broke, [worker, restart]) is None
    assert judge(plan(), seen(end=End.CUT), [worker]) == f"harm: {Harm.GATEWAY_WORKER_KILLED}"
    assert judge(plan(), seen(0, End.UNREACHABLE), [worker]) is None
    assert judge(plan(), seen(0, End.UNREACHABLE), [restart]) == f"harm: {Harm.GATEWAY_RESTARTED}"
    assert judge(plan(), seen(200, End.ERROR, "server_restarting"), [restart]) == f"harm: {Harm.GATEWAY_RESTARTED}"
    assert judge(plan(), seen(200, End.ERROR, "server_restarting"), [replica, worker]) is None


def test_a_harm_explains_nothing_before_or_after() -> None:
    for began, ended in ((1, 9), (21, 22)):
        early_or_late = Seen(began, ended, status=200, end=End.CUT)
        assert judge(plan(), early_or_late, DURING) is None


def test_limits_explain_refusals_of_those_who_have_them() -> None:
    rate = seen(429, code="rate_limit_exceeded", retry_after=True)
    assert judge(plan(tenant=Tenant.TIGHT), rate, []) == "limited: rate"
    assert judge(plan(), rate, []) is None
    assert judge(plan(tenant=Tenant.TIGHT), seen(429, code="rate_limit_exceeded"), []) is None
    spent = seen(429, code="insufficient_quota", retry_after=True, told_once=True)
    assert judge(plan(tenant=Tenant.POOR), spent, []) == "limited: budget"
    assert judge(plan(), spent, []) is None
    assert judge(plan(tenant=Tenant.POOR, usage=True), seen(tokens=3), []) == "answered as far as the budget went"


def test_shedding_explains_itself_where_it_says_when_to_come_back() -> None:
    assert judge(plan(), seen(503, code="server_overloaded", retry_after=True), []) == SHED
    assert judge(plan(), seen(503, code="server_overloaded"), []) is None


def test_a_clients_error_must_be_told_as_it_is() -> None:
    wrong = plan(expects=(404, "model_not_found"))
    assert judge(wrong, seen(404, code="model_not_found"), []) == "refused: the client's own error"
    assert judge(wrong, seen(404, code=None), []) is None
    assert judge(wrong, seen(), []) is None


def test_only_who_planned_to_gives_up() -> None:
    assert judge(plan(give_up_after=2), seen(end=End.GIVEN_UP), []) == "given up by the client"
    assert judge(plan(), seen(end=End.GIVEN_UP), []) is None


def test_the_mix_has_everything_and_one_fault_in_a_hundred() -> None:
    dice = random.Random(1)
    plans = [draw(dice) for _ in range(20_000)]
    assert {each.kind for each in plans} == set(Kind)
    assert {each.fault for each in plans} == {None, *Fault}
    assert {each.tenant for each in plans} == set(Tenant)
    assert sum(each.fault is not None for each in plans) / len(plans) == pytest.approx(FAULT_SHARE, rel=0.3)
    for each in plans[:500]:
        if each.tokens:
            assert msgspec.json.decode(each.body)["max_tokens"] >= each.tokens
