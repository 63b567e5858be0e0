"""What browsers are told about every page: what it may load and run, who may frame it, that nobody keeps it."""

from typing import Final

from litestar import Response

from ias.settings import settings

REPORTS: Final = "/csp-reports"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    f"report-uri {REPORTS}; report-to csp"
)
_GUARDED: Final = {
    "Content-Security-Policy": POLICY,
    "Reporting-Endpoints": f'csp="{REPORTS}"',
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers would send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_A_YEAR: Final = "max-age=31536000"


def guarded() -> dict[str, str]:
    """The headers of whatever pages answer with, also of files."""
    strict = {"Strict-Transport-Security": _A_YEAR} if settings().api_url.startswith("https://") else {}
    return {**_GUARDED, **strict}


def unkept() -> dict[str, str]:
    """The headers of a page: neither browsers nor proxies keep it, so that going back after logout shows nothing."""
    return {**guarded(), "Cache-Control": "no-store", "Vary": "Cookie, HX-Request, Accept-Encoding"}


async def kept_by_nobody(answer: Response[object]) -> Response[object]:
    """The same answer with every header of a page that it does not say itself, such as a file to be saved."""
    said = {name.lower() for name in answer.headers}
    answer.headers.update({name: value for name, value in unkept().items() if name.lower() not in said})
    return answer
