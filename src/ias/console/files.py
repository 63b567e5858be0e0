"""The doors that need nobody to be logged in: the files of pages, and reports of what their policy kept out."""

import asyncio
import time
from typing import Final

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from loguru import logger
from prometheus_client import Counter

from ias.console.assets import address, assets
from ias.console.policy import REPORTS, guarded
from ias.problems import NotFound

VIOLATIONS: Final = Counter("ias_csp_reports_total", "Reports of what the pages' policy kept out")
_MOST_LOGGED: Final = 2000
_MOST_A_MINUTE: Final = 5
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}

AnyRequest = Request[object, object, State]


class Few:
    """Lets a few through each minute, and counts the others."""

    def __init__(self, most: int) -> None:
        self._most, self._let, self._minute, self._left_out = most, 0, -1, 0

    def let(self, seconds: float) -> int | None:
        """How many were left out since the last one that was let through; None where this one is left out too."""
        if (minute := int(seconds // 60)) != self._minute:
            self._minute, self._let = minute, 0
        if self._let >= self._most:
            self._left_out += 1
            return None
        self._let, left_out = self._let + 1, self._left_out
        self._left_out = 0
        return left_out


_logged = Few(_MOST_A_MINUTE)


@get("/static/{name:str}", include_in_schema=False)
async def static(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """A file that pages load."""
    found = (await asyncio.to_thread(assets)).get(name)
    if found is None:
        raise NotFound("there is no such file; pages name those that there are")
    headers = {**_FOREVER, **guarded()}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, media_type=found.kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.kind, headers=headers)


@get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response[bytes]:
    """For whoever asks for it by its old name."""
    return Response(b"", status_code=308, headers={"Location": address("favicon.svg")}, media_type="image/svg+xml")


@post(REPORTS, include_in_schema=False, status_code=204, request_max_body_size=16_384)
async def reported(request: AnyRequest) -> None:
    """What a browser kept out of a page, or tells that it would have. All are counted, a few a minute are logged."""
    said = (await request.body())[:_MOST_LOGGED].decode(errors="replace")
    VIOLATIONS.inc()
    left_out = _logged.let(time.monotonic())
    if left_out is not None:
        logger.bind(report=said, left_out=left_out).warning("a browser kept something out of a page")


def handlers() -> list[HTTPRouteHandler]:
    """All of them."""
    return [static, favicon, reported]
