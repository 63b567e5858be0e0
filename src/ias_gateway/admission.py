"""Refusals and limits in OpenAI's words: what Redis decided, as the caller reads it."""

from calendar import timegm
from hashlib import sha256
from time import gmtime, strftime

from ias.contract import admission as contract
from ias.contract import keys
from ias.contract.admission import (
    Admitted,
    BadKey,
    Duplicate,
    Near,
    NoImages,
    NotReady,
    OverBudget,
    OverRate,
    Rate,
    Refused,
    Suspended,
    TooLarge,
    UnknownModel,
)
from ias_gateway.errors import ApiError, not_ready
from ias_gateway.lead import Leads

_BEARER = b"bearer "
_NO_RETRY = ("x-should-retry", "false")
_DECEMBER = "12"
_REMEMBERED_CALLERS = 16_384
_BUDGETS = {
    "organisation": "Your organisation's budget",
    "user": "Your personal budget",
    "key": "The cap of this API key",
}


class Caller:
    """Who a token says that it is.

    Attributes:
        tag: the organisation's.
        slot: the key of its slot.
        fingerprint: the token's.
        reserving: how its calls of `ias_reserve_packed` begin, in Redis's protocol.
        settling: the same of `ias_settle_packed`.
        leads: what was said when it was let in last.
    """

    __slots__ = ("fingerprint", "leads", "reserving", "settling", "slot", "tag")

    def __init__(self, tag: str, fingerprint: str) -> None:
        self.tag = tag
        self.slot = slot = contract.slot(tag).encode()
        self.fingerprint = fingerprint
        self.leads: Leads = {}
        self.reserving = b"*5\r\n$5\r\nFCALL\r\n$18\r\nias_reserve_packed\r\n$1\r\n1\r\n$%d\r\n%b\r\n" % (
            len(slot),
            slot,
        )
        self.settling = b"*9\r\n$5\r\nFCALL\r\n$17\r\nias_settle_packed\r\n$1\r\n1\r\n$%d\r\n%b\r\n" % (len(slot), slot)


_recent: dict[bytes, Caller] = {}


def identify(authorization: bytes) -> Caller:
    """Who calls, as far as it can be told without asking Redis.

    Recent callers are remembered by the digest of what they sent: a key itself stays nowhere.

    Raises:
        ApiError: 401, the key is missing or malformed.
    """
    digest = sha256(authorization).digest()
    caller = _recent.get(digest)
    if caller is None:
        caller = _read(authorization)
        if len(_recent) >= _REMEMBERED_CALLERS:
            _recent.clear()
        _recent[digest] = caller
    return caller


def _read(authorization: bytes) -> Caller:
    if not authorization:
        raise _bad_key("You did not give an API key. Send it as `Authorization: Bearer <key>`.")
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise _bad_key("The Authorization header must be `Bearer <key>`.")
    token = authorization[len(_BEARER) :].strip()
    tag = keys.tag_of(token)
    if tag is None:
        raise bad_key()
    return Caller(tag, keys.fingerprint(token))


def bad_key() -> ApiError:
    """The key is unknown, revoked, expired or malformed: the answer is the same."""
    return _bad_key("Incorrect API key provided. Check the key, or issue a new one on the keys page.")


def refusal(refused: Refused, model: str) -> ApiError:
    """What a caller is told whom admission refused."""
    match refused:
        case BadKey() | NotReady() | Near():
            return bad_key() if isinstance(refused, BadKey) else not_ready()
        case Suspended(scope=scope):
            message = f"Your {scope} is suspended. Ask an administrator of your organisation."
            return ApiError(403, message, kind="permission_error", code="insufficient_permissions")
        case UnknownModel(models=models):
            return unknown_model(model, models)
        case NoImages():
            message = f"The model `{model[:100]}` takes no images. An administrator can allow them: its `image_tokens`."
            return ApiError(400, message, param="messages")
        case Duplicate():
            return ApiError(409, "This request id was used before.", code="duplicate_request")
        case _:
            return _limit(refused)


def unknown_model(model: str, models: tuple[str, ...]) -> ApiError:
    """The model is unknown or not for this caller: the answer is the same."""
    known = f"You may use: {', '.join(models)}." if models else "There is none yet that this API key may use."
    message = f"The model `{model[:100]}` does not exist or you do not have access to it. {known}"
    return ApiError(404, message, code="model_not_found", param="model")


def limit_headers(admitted: Admitted) -> bytes:
    """The `x-ratelimit-…` lines of an answer; a limit that there is not has none."""
    return _rate_lines("requests", admitted.requests) + _rate_lines("tokens", admitted.tokens)


def _limit(refused: OverBudget | OverRate | TooLarge) -> ApiError:
    if isinstance(refused, TooLarge):
        message = (
            f"Request too large: its prompt of up to {refused.prompt} tokens passes your limit of {refused.limit} "
            "tokens per minute."
        )
        return ApiError(429, message, kind="rate_limit_error", code="rate_limit_exceeded", headers=(_NO_RETRY,))
    return _over_budget(refused) if isinstance(refused, OverBudget) else _over_rate(refused)


def _over_rate(refused: OverRate) -> ApiError:
    unit = {"requests": "requests per second", "tokens": "tokens per minute"}.get(refused.kind, "concurrent requests")
    whose = "Your organisation's" if refused.scope == "organisation" else "Your personal"
    wait = f"Please try again in {duration(refused.wait_ms)}." if refused.limit else "Ask an administrator to raise it."
    message = f"{whose} limit of {refused.limit} {unit} is reached. {wait}"
    headers = [("retry-after", str(-(-refused.wait_ms // 1000))), ("retry-after-ms", str(refused.wait_ms))]
    if not refused.limit:
        headers.append(_NO_RETRY)
    headers += _rate_headers("requests", refused.requests) + _rate_headers("tokens", refused.tokens)
    return ApiError(429, message, kind="rate_limit_error", code="rate_limit_exceeded", headers=tuple(headers))


def _over_budget(refused: OverBudget) -> ApiError:
    what, resets = _BUDGETS[refused.scope], month_end(refused.period)
    message = (
        f"{what} of {refused.limit} tokens for this month does not suffice: {refused.used} are used and "
        f"{refused.held} held by requests under way. It resets at {strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(resets))}."
    )
    headers = (_NO_RETRY, ("retry-after", str(max(1, resets - refused.now))))
    return ApiError(429, message, kind="insufficient_quota", code="insufficient_quota", headers=headers)


def month_end(period: str) -> int:
    """When the month YYYYMM ends, in Unix seconds UTC."""
    year, month = int(period[:4]), period[4:]
    following = (year + 1, 1) if month == _DECEMBER else (year, int(month) + 1)
    return timegm((*following, 1, 0, 0, 0))


def duration(ms: int) -> str:
    """Milliseconds as OpenAI writes them: `12ms`, `1s`, `1.5s`, `6m0s`."""
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{ms}ms"
    minutes, rest = divmod(ms, 60_000)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _rate_lines(kind: str, rate: Rate) -> bytes:
    if rate.limit < 0:
        return b""
    return (
        f"x-ratelimit-limit-{kind}: {rate.limit}\r\nx-ratelimit-remaining-{kind}: {rate.remaining}\r\n"
        f"x-ratelimit-reset-{kind}: {duration(rate.reset_ms)}\r\n"
    ).encode()


def _rate_headers(kind: str, rate: Rate) -> list[tuple[str, str]]:
    if rate.limit < 0:
        return []
    return [
        (f"x-ratelimit-limit-{kind}", str(rate.limit)),
        (f"x-ratelimit-remaining-{kind}", str(rate.remaining)),
        (f"x-ratelimit-reset-{kind}", duration(rate.reset_ms)),
    ]


def _bad_key(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key")
