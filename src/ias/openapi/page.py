"""The page that shows the document: Swagger UI as its package has it, from here alone, under a strict policy.

It is open to everybody, as the document is: both say what there is, not what is in it. What is to be tried out is asked
with the reader's own token.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from ias.problems import NotFound

FOLDER: Final = Path(__file__).with_name("static")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_HASHED = 16
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_LOOKED_AT_AGAIN = {"Cache-Control": "no-cache"}
_GUARDED = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

AnyRequest = Request[object, object, State]


class Vendored(msgspec.Struct, frozen=True):
    """Where a file that is not ours comes from."""

    package: str
    version: str
    license: str
    files: dict[str, str]
    """The SHA-256 of each, in hexadecimal."""


class Asset(msgspec.Struct, frozen=True):
    """A file that the page loads, by a name that says what is in it."""

    name: str
    kind: str
    content: bytes
    packed: bytes


class Pages:
    """The document, made when it is first asked for, and its page."""

    def __init__(self, document: Callable[[], bytes], prefix: str) -> None:
        self._document, self._prefix = cache(document), prefix

    def handlers(self) -> list[HTTPRouteHandler]:
        """`/openapi.json`, `/docs` and what it loads."""

        @get("/openapi.json", include_in_schema=False, media_type="application/json")
        async def openapi(request: AnyRequest) -> Response[bytes]:
            document = await asyncio.to_thread(self._document)
            tag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
            headers = _LOOKED_AT_AGAIN | {"ETag": tag, "X-Content-Type-Options": "nosniff"}
            if request.headers.get("if-none-match") == tag:
                return Response(b"", status_code=304, headers=headers)
            return Response(document, headers=headers)

        @get("/docs", include_in_schema=False, media_type="text/html")
        async def docs() -> Response[bytes]:
            return Response(await asyncio.to_thread(_page, self._prefix), headers=_LOOKED_AT_AGAIN | _GUARDED)

        @get("/docs/{name:str}", include_in_schema=False)
        async def asset(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
            found = (await asyncio.to_thread(assets)).get(name)
            if found is None:
                raise NotFound("the page has no such file")
            headers = _FOREVER | _GUARDED | {"Vary": "Accept-Encoding"}
            if "gzip" in request.headers.get("accept-encoding", ""):
                return Response(found.packed, media_type=found.kind, headers=headers | {"Content-Encoding": "gzip"})
            return Response(found.content, media_type=found.kind, headers=headers)

        return [openapi, docs, asset]


def vendored() -> Vendored:
    """What `static/vendored.json` says."""
    return msgspec.json.decode((FOLDER / "vendored.json").read_bytes(), type=Vendored)


@cache
def assets() -> Mapping[str, Asset]:
    """All that the page loads, by its names."""
    return {each.name: each for each in (_asset(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _KINDS)}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:_HASHED]}{path.suffix}"
    return Asset(name, _KINDS[path.suffix], content, gzip.compress(content, mtime=0))


def _page(prefix: str) -> bytes:
    """The page, with the names that its files have now."""
    text = (FOLDER / "page.html").read_text()
    for name in assets():
        stem, _, suffix = name.rpartition(".")
        plain = f"{stem.rpartition('.')[0]}.{suffix}"
        text = text.replace(f'"{plain}"', f'"{prefix}/docs/{name}"')
    return text.encode()
