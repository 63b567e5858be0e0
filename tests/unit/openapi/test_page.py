"""The page of the document loads nothing from elsewhere, and only what it is known to be."""

import gzip
import hashlib
import re
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ias.answers import FAULTS
from ias.openapi.page import FOLDER, Pages, assets, vendored

ROOT = Path(__file__).parents[3]
DOCUMENT = b'{"openapi": "3.1.0"}'
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
LOADING = re.compile(r"""(?:src|href|action|data|srcset|poster)\s*=\s*["']([^"']*)["']|url\(\s*["']?([^"')]+)""")


@pytest.fixture(scope="module")
def client() -> TestClient[Litestar]:
    return TestClient(Litestar(Pages(lambda: DOCUMENT, "").handlers(), exception_handlers=FAULTS))


def test_the_page_and_its_styles_refer_to_nothing_outside(client: TestClient[Litestar]) -> None:
    texts = [
        client.get("/docs").text,
        *(each.content.decode() for each in assets().values() if each.kind == "text/css"),
    ]
    found = [one or other for text in texts for one, other in LOADING.findall(text)]
    assert len(found) > 5
    assert [place for place in found if "//" in place.partition(",")[0] and not place.startswith("data:")] == []


def test_our_own_script_asks_for_the_document_beside_it_and_for_nothing_else() -> None:
    script = (FOLDER / "page.js").read_text()
    assert re.findall(r"https?:|//[a-z]", script) == []
    assert 'new URL("../openapi.json", here)' in script
    assert "validatorUrl: null" in script, "else Swagger UI would send the document to a validator of its makers"
    assert "queryConfigEnabled: false" in script, "else a link could have the page show another document"


def test_the_policy_lets_in_only_what_is_served_here_and_no_inline_script(client: TestClient[Litestar]) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy == POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-cache"
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|javascript:|\sstyle=", page.text) == []


def test_what_the_page_loads_is_there_under_a_name_that_says_its_content(client: TestClient[Litestar]) -> None:
    named = [place for place, _ in LOADING.findall(client.get("/docs").text) if place.startswith("/docs/")]
    assert len(named) == 5
    for place in named:
        answer = client.get(place, headers={"accept-encoding": "identity"})
        assert answer.status_code == 200, place
        assert hashlib.sha256(answer.content).hexdigest()[:16] in place
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].partition(";")[0] in {"text/javascript", "text/css", "image/png"}


def test_files_are_packed_for_who_can_unpack_them(client: TestClient[Litestar]) -> None:
    name, asset = next(pair for pair in assets().items() if pair[0].startswith("swagger-ui-bundle"))
    packed = client.get(f"/docs/{name}", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.content == asset.content
    assert gzip.decompress(asset.packed) == asset.content
    assert len(asset.packed) < len(asset.content) / 3


@pytest.mark.parametrize("name", ["nowhere.js", "vendored.json", "page.html", "page.js", "..%2fpage.py"])
def test_nothing_else_of_the_folder_is_served(client: TestClient[Litestar], name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_the_document_is_given_again_only_where_it_changed(client: TestClient[Litestar]) -> None:
    first = client.get("/openapi.json")
    assert first.content == DOCUMENT
    assert first.headers["content-type"] == "application/json"
    again = client.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_is_not_ours_is_what_its_makers_published() -> None:
    told = vendored()
    assert (told.package, told.license) == ("swagger-ui-dist", "Apache-2.0")
    ours = {"page.html", "page.css", "page.js", "vendored.json"}
    assert {path.name for path in FOLDER.iterdir()} == told.files.keys() | ours
    for name, digest in told.files.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
    assert {"swagger-ui.LICENSE.txt", "swagger-ui.NOTICE.txt"} <= told.files.keys()


def test_the_page_is_in_the_wheel() -> None:
    packages = re.search(
        r"targets\.wheel\]\npackages = (.*)", Path(__file__).parents[3].joinpath("pyproject.toml").read_text()
    )
    assert packages
    assert "src/ias" in msgspec.json.decode(packages[1])
    assert FOLDER.is_relative_to(ROOT / "src/ias")
