"""Faults are pages too: each says what happened, what to do, and by which id the log knows it."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import State

from ias.console import tickets
from ias.console.policy import unkept
from ias.console.rendering import render
from ias.console.visit import HTML, THEMES
from ias.problems import Problem

AnyRequest = Request[object, object, State]

LOGIN: Final = "/login"
_MACHINES: Final = ("/api/", "/health", "/ready", "/metrics", "/static/")

_ADVICE: Final = {
    400: "Something in the address or the form is not as it has to be. Go back, mend it and send it again.",
    403: "Your role does not allow this. An admin of your organisation can change your role, or do it for you.",
    404: "Check the address. What it led to may have been removed, or belongs to another organisation.",
    405: "This address is not for that. Start again at the first page.",
    409: "The state of things does not allow this now. Open the page again to see how they stand.",
    410: "This is used up. Ask whoever gave it to you for a new one.",
    412: "Somebody changed it after you opened the page. Open it again, and decide anew.",
    413: "What you sent is larger than is taken. Shorten it and send it again.",
    429: "You tried too often in a short time. Wait a little, then try again.",
    500: "It is not your doing. Try again; if it stays, give the id below to whoever operates this service.",
    503: "A part of the service does not answer. Requests to models go on; try this page again in a moment.",
}


def wants_page(request: AnyRequest) -> bool:
    """Whether a person looks at the answer: outside of the API, with a browser."""
    if request.url.path.startswith(_MACHINES):
        return False
    # What htmx asks accepts everything.
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def fault_page(request: AnyRequest, problem: Problem) -> Response[bytes]:
    """The page of a fault; whoever is not logged in is led to where one does."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return _to_login(request)
    headers = unkept()
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    theme = request.cookies.get(tickets.cookie_name("theme"), THEMES[0])
    values: dict[str, object] = {
        "problem": problem,
        "todo": _todo(problem),
        "request_id": str(request.scope["state"].get("request_id", "")),
        "theme": theme if theme in THEMES else THEMES[0],
        "again": request.url.path if request.method in tickets.SAFE else "",
    }
    body = render("templates/fault.html", values).encode()
    return Response(body, status_code=problem.status, headers=headers, media_type=HTML)


def _todo(problem: Problem) -> str:
    """What to do besides what the detail says."""
    if problem.status == HTTPStatus.FORBIDDEN and not problem.type.endswith(":permission-missing"):
        return ""
    return _ADVICE.get(problem.status, _ADVICE[400 if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR else 500])


def _to_login(request: AnyRequest) -> Response[bytes]:
    path = request.url.path if request.method in tickets.SAFE else "/"
    query = f"?{request.url.query}" if request.url.query and request.method in tickets.SAFE else ""
    there = LOGIN if path == "/" else f"{LOGIN}?next={quote(path + query, safe='/')}"
    headers = unkept()
    if "hx-request" in request.headers:
        return Response(b"", status_code=HTTPStatus.OK, headers=headers | {"HX-Redirect": there}, media_type=HTML)
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers=headers | {"Location": there}, media_type=HTML)
