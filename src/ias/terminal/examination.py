"""What `ias-admin doctor` tries from where a person sits: each step only where the one before went well."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import httpx
import msgspec

from ias.client import Refused, Tokens, Unreachable
from ias.terminal import profiles
from ias.terminal.commands import Terminal
from ias.terminal.exits import Exit, of_status
from ias.terminal.settings import settings

MOST_SKEW_S = 60.0
ANSWER_S = 10.0


class Finding(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was tried and what came of it; `mend` says what to do where it went wrong, `code` is its exit code."""

    what: str
    well: bool
    found: str
    mend: str = ""
    code: int = 0


class _Ready(msgspec.Struct):
    """What the api process says of itself."""

    status: str
    dependencies: dict[str, str] = {}


class _Me(msgspec.Struct):
    email: str
    role: str
    org_name: str | None = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def examine(terminal: Terminal) -> Iterator[Finding]:
    """Try everything, one after the other."""
    yield _profile(terminal)
    answer = _asked(f"{terminal.api_url.rstrip('/')}/ready", None)
    if isinstance(answer, str):
        yield _wrong("api", answer, _where(terminal), Exit.UNREACHABLE)
    else:
        yield from _api(terminal, answer)
    yield _gateway()


def _profile(terminal: Terminal) -> Finding:
    kept = terminal.profile
    where = "in the keyring" if kept and kept.in_keyring else f"in {_short(profiles.path())}"
    who = f"{kept.email}, tokens {where}" if kept and kept.tokens else "nobody is logged in"
    return Finding(what="profile", well=True, found=f"{terminal.name}: {who}")


def _api(terminal: Terminal, answer: httpx.Response) -> Iterator[Finding]:
    try:
        ready = msgspec.json.decode(answer.content, type=_Ready)
    except msgspec.MsgspecError:
        said = f"{terminal.api_url} answers {answer.status_code}, but it is not this API"
        yield _wrong("api", said, _where(terminal), Exit.UNREACHABLE)
        return
    yield _readiness(terminal, answer.status_code, ready)
    yield _clock(answer)
    yield _login(terminal)


def _readiness(terminal: Terminal, status: int, ready: _Ready) -> Finding:
    if status == HTTPStatus.OK:
        return Finding(what="api", well=True, found=f"{terminal.api_url} is ready")
    broken = [f"{name}: {state}" for name, state in ready.dependencies.items() if state != "ok"]
    mend = "whoever operates the platform should run `ias doctor`"
    return _wrong("api", "; ".join(broken) or ready.status, mend, Exit.UNREACHABLE)


def _clock(answer: httpx.Response) -> Finding:
    said = answer.headers.get("date", "")
    if not said:
        return Finding(what="clock", well=True, found="the server does not tell its time")
    skew_s = (datetime.now(UTC) - parsedate_to_datetime(said)).total_seconds()
    found = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the server's"
    if abs(skew_s) > MOST_SKEW_S:
        return _wrong("clock", found, "set this machine's clock, best by NTP", Exit.ERROR)
    return Finding(what="clock", well=True, found=found)


def _login(terminal: Terminal) -> Finding:
    tokens: Tokens | None = terminal.tokens
    mend = terminal.to_log_in
    if tokens is None:
        return _wrong("login", "nobody is logged in", mend, Exit.AUTHENTICATION)
    try:
        me = terminal.client.get("/me", _Me)
    except Refused as refused:
        return _wrong("login", refused.problem.detail, mend, of_status(refused.problem.status))
    except Unreachable as error:
        return _wrong("login", str(error), "try again", Exit.UNREACHABLE)
    return Finding(
        what="login", well=True, found=f"{me.email}, {me.role}" + (f" of {me.org_name}" if me.org_name else "")
    )


def _gateway() -> Finding:
    url, key = settings().gateway_url, settings().api_key.get_secret_value()
    if not url or not key:
        missing = "IAS_API_KEY" if url else "IAS_GATEWAY_URL"
        return Finding(what="gateway", well=True, found=f"not tried: {missing} is not set")
    answer = _asked(f"{url.rstrip('/').removesuffix('/v1')}/v1/models", key)
    if isinstance(answer, str):
        return _wrong("gateway", answer, "check IAS_GATEWAY_URL", Exit.UNREACHABLE)
    if answer.status_code != HTTPStatus.OK:
        mend = "check IAS_API_KEY, or issue a key with `ias-admin key create`"
        return _wrong("gateway", f"{url} answers {answer.status_code}", mend, of_status(answer.status_code))
    try:
        models = msgspec.json.decode(answer.content, type=_Models).data
    except msgspec.MsgspecError:
        return _wrong("gateway", f"{url} answers, but it is no gateway", "check IAS_GATEWAY_URL", Exit.UNREACHABLE)
    if not models:
        mend = "have a system admin register one (`ias-admin model create`) or allow it (`ias-admin org models set`)"
        return _wrong("gateway", "the key may call no model", mend, Exit.ERROR)
    return Finding(what="gateway", well=True, found=f"{url} serves {', '.join(model.id for model in models)}")


def _asked(url: str, key: str | None) -> httpx.Response | str:
    """The answer, or why there is none."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        return httpx.get(url, headers=headers, timeout=ANSWER_S)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        return f"{url} does not answer: {str(error) or type(error).__name__}"


def _where(terminal: Terminal) -> str:
    return f"check the address ({terminal.api_url_from}), and that the API runs there"


def _wrong(what: str, found: str, mend: str, code: Exit) -> Finding:
    return Finding(what=what, well=False, found=found, mend=mend, code=int(code))


def _short(file: Path) -> str:
    home = Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)
