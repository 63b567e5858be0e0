"""Whatever happens in whatever order, the books are right; and a library that keeps them wrong is found out.

`make test` looks briefly, and always at the same orders; `nox -s machine` looks at many new ones and says their seed.
"""

import asyncio
import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.contract.driven import Table, driven
from tests.integration.contract.machine import Books
from tests.services import Service

QUICK = 60
EXAMPLES = int(os.environ.get("IAS_TEST_MACHINE_EXAMPLES", str(QUICK)))
SEED = int(os.environ.get("IAS_TEST_MACHINE_SEED", "1"))
"""Which orders: the same number, the same ones."""
LOOK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    # To make it short takes minutes, after which a test of `make test` would have been ended without a word.
    phases=[Phase.generate] if EXAMPLES <= QUICK else [Phase.generate, Phase.shrink],
)
UNTIL_FOUND = settings(LOOK, max_examples=max(EXAMPLES, 1000), phases=[Phase.generate])

WRONG = {
    "a release is dropped": ("'resv', (bud[3] or 0) - est", "'resv', (bud[3] or 0)"),
    "a user's release is dropped": ("for_user, (bud[4] or 0) - est", "for_user, (bud[4] or 0)"),
    "a charge is doubled": ("(bud[1] or 0) + actual", "(bud[1] or 0) + 2 * actual"),
    "a user's charge is forgotten": ("(bud[2] or 0) + actual", "(bud[2] or 0)"),
    "who is done stays under way": ("redis.call('HINCRBY', P .. ':g', 'l:' .. uid, -1)", ""),
    "another gateway's request is anybody's": ("or r[OPEN.gw] ~= gateway", ""),
    "an older section goes over a newer one": (
        "if tonumber(redis.call('HGET', P .. ':v', section) or 0) >= tonumber(version) then return 0 end",
        "",
    ),
    "an older projection is remembered": ("if read and read.stamp == v[2] then", "if read then"),
    "a lower bound is taken for the truth": ("lower_bound = '1'", "lower_bound = '0'"),
    "who is let in is not under way": ("'l:' .. uid, fits.live + 1,", "'l:' .. uid, fits.live,"),
    "who is asserted again is not under way": ("'l:' .. uid, 1)\n  redis", "'l:' .. uid, 0)\n  redis"),
    "the month is that of the settlement": (
        "uid, per, t0 = r[OPEN.uid], r[OPEN.per],",
        "uid, per, t0 = r[OPEN.uid], period_of((now())),",
    ),
    "what is known is asserted again": (
        "if not redis.call('SET', P .. ':r:' .. rid, record, 'NX') then return 0 end",
        "redis.call('SET', P .. ':r:' .. rid, record)",
    ),
    "adjustments have no numbers": ("line = r[DONE.line] + 1", "line = r[DONE.line]"),
    "adjustments count reused tokens anew": ("ca - r[DONE.sca]", "ca"),
    "one token too many is let in": ("if est > left and", "if est > left + 1 and"),
    "one request too many is let in": (">= org.conc then", "> org.conc then"),
    "one request too many of a user is let in": ("live >= org.uconc", "live > org.uconc"),
    "the floor is not reached": ("clamped < least", "clamped <= least"),
    "an older key goes over a newer one": (
        "if tonumber(redis.call('HGET', k, 'v') or 0) >= tonumber(version) then return 0 end",
        "",
    ),
    "a key is good a second too long": ("tonumber(key[4]) <= sec", "tonumber(key[4]) < sec"),
    "a suspended user is let in": ("redis.call('HEXISTS', P .. ':org', 'x:' .. key[3]) == 1", "false"),
    "leases end a second too early": ("'-inf', int(sec), 'LIMIT'", "'-inf', int(sec + 1), 'LIMIT'"),
    "a key's release is dropped": ("(bud[6] or 0) - est", "(bud[6] or 0)"),
    "a key's charge is forgotten": ("(bud[5] or 0) + actual", "(bud[5] or 0)"),
    "a cap is passed by a token": ("remainder(cap, bud[6]", "1 + remainder(cap, bud[6]"),
    "what a key has under way when it is first counted is forgotten": ("held[kid] or 0)", "0)"),
    "what a key has under way is not settled for it": ("or false, 1\n", "or false, nil\n"),
    "a correction is not counted for its key": ("'k:' .. kid, actual)", "'k:' .. kid, 0)"),
    "what is asserted again is not held for its key": ("'h:' .. A[11], est)", "'h:' .. A[11], 0)"),
    "who was not counted gives a place back": ("not r[OPEN.uncounted])", "true)"),
    "who was not counted is found under way": ("if not r[OPEN.uncounted] then live", "if true then live"),
    "what is not there yet is revoked": ("and (known or redis.call('HGET', P .. ':v', 'complete') == '1')", ""),
}
"""What the library would say, and what it says instead."""
AT_ONCE = 12
"""How many of them `make test` looks at: the ones that are soon found."""


def look(url: str, library: str, how: settings) -> None:
    table = Table(url, library)
    machine = seed(SEED)(type("Machine", (Books,), {"table": table}))
    try:
        run_state_machine_as_test(machine, settings=how)
    finally:
        table.close()


@pytest.mark.parametrize("number", [SEED])
async def test_no_order_of_events_spoils_the_books(server: Service, number: int) -> None:
    await asyncio.to_thread(look, server.url, driven(), LOOK)


@pytest.mark.parametrize("wrong", list(WRONG)[: AT_ONCE if EXAMPLES <= QUICK else None])
async def test_a_library_is_found_out_where(server: Service, wrong: str) -> None:
    right, instead = WRONG[wrong]
    library = driven()
    with pytest.raises(AssertionError):
        await asyncio.to_thread(look, server.url, library.replace(right, instead), UNTIL_FOUND)


@pytest.mark.parametrize("wrong", WRONG)
def test_the_library_says_once_what_would_be_wrong_if(wrong: str) -> None:
    assert driven().count(WRONG[wrong][0]) == 1
