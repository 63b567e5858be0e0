"""The doors that need nobody to be logged in: the files of pages, and reports of what their policy kept out."""

import asyncio
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
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}

AnyRequest = Request[object, object, State]


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
    """What a browser kept out of a page, or tells that it would have."""
    said = (await request.body())[:_MOST_LOGGED].decode(errors="replace")
    VIOLATIONS.inc()
    logger.bind(report=said).warning("a browser kept something out of a page")


def handlers() -> list[HTTPRouteHandler]:
    """All of them."""
    return [static, favicon, reported]
