"""The console's pages at scale: people who are logged in look at each of them, one after the other."""

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import httpx

from bench.mix import ADMINS, EVERYBODY, MEMBERS, SYSTEM, Caller, Mix, Route
from bench.population import Population, address
from bench.seeding import PASSWORD

PAGE_MS = 100.0
"""What p99 of a page has to be below; the time on the wire of this machine, and this client's, is in it."""
VISITORS = 4
"""Of each role."""
TIMES, FEW, WARM = 100, 2, 5
DAYS = ("?period=30d", "?period=7d")
FINER = (*DAYS, "?period=month&by=user", "?period=30d&by=key&timezone=Asia/Kolkata")
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
_ORG = "/orgs/{org_id}"


def _page(path: str, who: tuple[str, ...], queries: tuple[str, ...] = ("",)) -> Route:
    return Route("GET", path, 1, who, queries, bar_ms=PAGE_MS)


PAGES = (
    *(_page(path, SYSTEM) for path in ("/overview", "/orgs/new", "/models", "/models/new", "/audit")),
    *(_page(f"/models/{{model_id}}{part}", SYSTEM) for part in ("", "/edit", "/disable", "/remove")),
    _page("/orgs", SYSTEM, ("", "?search=org", "?state=active")),
    _page("/usage", SYSTEM, DAYS),
    _page("/me", EVERYBODY),
    _page(_ORG, EVERYBODY),
    *(_page(f"{_ORG}/administration{part}", SYSTEM) for part in ("", "/suspend", "/remove")),
    *(_page(f"{_ORG}/keys{part}", EVERYBODY) for part in ("", "/{key_id}", "/{key_id}/revoke")),
    _page(f"{_ORG}/keys/new", MEMBERS),
    _page(f"{_ORG}/models", EVERYBODY),
    _page(f"{_ORG}/playground", MEMBERS),
    _page(f"{_ORG}/usage", EVERYBODY, FINER),
    _page(f"{_ORG}/requests", EVERYBODY, ("", "?period=30d", "?period=30d&errors=true")),
    _page(f"{_ORG}/budget", EVERYBODY),
    *(_page(f"{_ORG}/budget/{part}", EVERYBODY) for part in ("limits", "models", "alerts")),
    _page(f"{_ORG}/members", ADMINS, ("", "?search=a")),
    _page(f"{_ORG}/members/invite", ADMINS),
    *(_page(f"{_ORG}/members/{{user_id}}{part}", ADMINS) for part in ("", "/budget", "/suspend", "/remove")),
    _page(f"{_ORG}/audit", ADMINS, ("", "?action=key.issued")),
    _page(f"{_ORG}/audit/{{entry_id}}", ADMINS),
    *(_page(f"{_ORG}/gitops{part}", ADMINS) for part in ("", "/history", "/drift", "/plan")),
)


@dataclass
class Seen:
    """How a page was answered: milliseconds of each visit, its largest size as it came, and what went wrong."""

    took_ms: list[float]
    kilobytes: float
    failures: dict[str, int]


def look(port: int, people: Population, everybody: Sequence[Caller], times: int) -> dict[str, Seen]:
    """Look at each page so many times, as people of every role that may.

    Raises:
        RuntimeError: somebody cannot log in.
    """
    seen: dict[str, Seen] = {}
    with ExitStack() as stack:
        visitors: dict[str, tuple[Caller, httpx.Client]] = {}
        for role in EVERYBODY:
            for who in [each for each in everybody if each.role == role][:VISITORS]:
                client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
                visitors[who.token] = who, _logged_in(stack.enter_context(client), who)
        mix = Mix(people, [who for who, _ in visitors.values()], 1)
        warm = min(WARM, times - 1)
        for page in PAGES:
            for number in range(warm + times):
                asked = mix.asked(page, page.asked_by[number % len(page.asked_by)])
                told = seen.setdefault(page.name, Seen([], 0.0, {}))
                _visit(visitors[asked.token][1], asked.path, told, counts=number >= warm)
    return seen


def _visit(client: httpx.Client, path: str, told: Seen, *, counts: bool) -> None:
    began = time.perf_counter()
    with client.stream("GET", path) as answer:
        size = sum(len(part) for part in answer.iter_raw())
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != httpx.codes.OK:
        told.failures[f"{answer.status_code}"] = told.failures.get(f"{answer.status_code}", 0) + 1
    elif counts:
        told.took_ms.append(took)
        told.kilobytes = max(told.kilobytes, round(size / 1024, 1))


def _logged_in(client: httpx.Client, who: Caller) -> httpx.Client:
    # Over plain HTTP a client of Python keeps no cookies that browsers keep of themselves: they are handed on by hand.
    shown = client.get("/login")
    cookies = _set(shown)
    found = _TOKEN.search(shown.text)
    sent = {"email": address(who.member), "password": PASSWORD, "csrf": found.group(1) if found else ""}
    answer = client.post("/login", data=sent, headers={"cookie": _header(cookies)})
    cookies |= _set(answer)
    if answer.status_code != httpx.codes.SEE_OTHER:
        raise RuntimeError(f"{address(who.member)} cannot log in to the console: {answer.status_code}")
    client.cookies.clear()
    client.headers["cookie"] = _header(cookies)
    return client


def _set(answer: httpx.Response) -> dict[str, str]:
    pairs = (line.partition(";")[0].partition("=") for line in answer.headers.get_list("set-cookie"))
    return {name: value for name, _, value in pairs}


def _header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
