"""One request of a page: who looks, in which organisation, and how it is answered: by a page or by going elsewhere."""

import gzip
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from ias.console import tickets
from ias.console.forms import Form, parsed
from ias.console.navigation import Entry, Link, links
from ias.console.policy import unkept
from ias.console.rendering import render, render_block
from ias.problems import Problem

THEMES: Final = ("auto", "light", "dark")
SAID: Final = "said"
_SAID_S: Final = 60
_MOST_SAID: Final = 500
_LEVEL: Final = 4
"""Of gzip: two thirds of level 9's time, and two of a hundred bytes more."""
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
HTML: Final = "text/html"
"""Litestar says the charset of every text itself."""


class Managed(Protocol):
    """What an organisation's policy file in Git is to the console."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def repository(self) -> str:
        """Where it is."""

    @property
    def suspended_until(self) -> datetime | None:
        """Until when Git is left aside."""

    @property
    def suspended_reason(self) -> str:
        """Why."""

    def said(self, moment: datetime, *parts: str) -> str:
        """What to say beside these parts; empty where Git manages none of them."""


class Who(msgspec.Struct, frozen=True):
    """Who looks."""

    id: UUID
    name: str
    email: str
    role: str


class Org(msgspec.Struct, frozen=True):
    """The organisation that a page is of."""

    id: UUID
    name: str
    suspended: bool = False
    managed_by: Managed | None = None


class Said(msgspec.Struct, frozen=True):
    """What the page before had done; `kind` is good, bad or plain."""

    text: str
    kind: str = "good"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What every template is told as `visit`, and every page answers with.

    Attributes:
        path: the page's own, without its query.
        target: the page's own, with its query.
        csrf: the token that forms carry.
        form: what was sent; empty where nothing was.
        sent: whether a form was sent here, so that there may be no such page to come back to.
        block: the id that htmx wants to exchange; empty where a whole page is asked for.
        org: the organisation that the page is of, or one's own; None for a system admin outside of all.
        cookies: what the answer sets.
        packs: whether the browser takes pages that are compressed.
    """

    path: str
    target: str
    csrf: str
    theme: str = THEMES[0]
    form: Form = Form()
    sent: bool = False
    request_id: str = ""
    block: str = ""
    said: Said | None = None
    who: Who | None = None
    org: Org | None = None
    permissions: frozenset[str] = frozenset()
    entries: tuple[Entry, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    packs: bool = False

    def may(self, permission: str) -> bool:
        """Whether the one who looks holds a permission, such as `keys:create`."""
        return permission in self.permissions

    @property
    def navigation(self) -> dict[str, list[Link]]:
        """Where one may go, by area."""
        return links(self.entries, "" if self.org is None else str(self.org.id), self.permissions, self.path)

    @property
    def asked(self) -> Form:
        """What the address says behind its `?`, as the form of a filter bar sends it: empty fields and all.

        Raises:
            BadRequest: it cannot be read.
        """
        return parsed(self.target.partition("?")[2].encode())

    def managed(self, now: datetime, *parts: str) -> str:
        """What to say beside parts of the policy that Git manages; empty where it does not."""
        managed = None if self.org is None else self.org.managed_by
        return "" if managed is None else managed.said(now, *parts)

    def refused(self, problem: Problem) -> "Visit":
        """The same visit, whose form is to be shown again with what is wrong with it.

        Raises:
            Problem: no change of the form would mend it.
        """
        return msgspec.structs.replace(self, form=self.form.refused(problem))

    def show(self, template: str, values: Mapping[str, object] = _NOTHING) -> Response[bytes]:
        """A page. Templates are given `visit` and `form`, besides these values."""
        return self._answer(render(template, self._told(values)))

    def show_block(self, template: str, block: str, values: Mapping[str, object] = _NOTHING) -> Response[bytes]:
        """One block of a page, for htmx to put in."""
        return self._answer(render_block(template, block, self._told(values)))

    def go(self, path: str, said: str = "", kind: str = "good") -> Response[bytes]:
        """To another page of this console, which says what was done."""
        headers = unkept() | {"Location": tickets.own_path(path)}
        told = [tickets.cookie(SAID, packed(Said(said, kind)), _SAID_S)] if said else []
        return Response(
            b"", status_code=HTTPStatus.SEE_OTHER, headers=headers, cookies=[*self.cookies, *told], media_type=HTML
        )

    def _told(self, values: Mapping[str, object]) -> dict[str, object]:
        return {"visit": self, "form": self.form, **values}

    def _answer(self, body: str) -> Response[bytes]:
        heard = [] if self.said is None else [tickets.cookie(SAID, "", 0)]
        headers = unkept()
        sent = body.encode()
        if self.packs:
            sent, headers["Content-Encoding"] = gzip.compress(sent, _LEVEL, mtime=0), "gzip"
        return Response(
            sent,
            status_code=self.form.status,
            headers=headers,
            cookies=[*self.cookies, *heard],
            media_type=HTML,
        )


def packed(said: Said) -> str:
    """As a cookie holds it."""
    short = Said(said.text[:_MOST_SAID], said.kind)
    return urlsafe_b64encode(msgspec.json.encode(short)).rstrip(b"=").decode()


def unpacked(cookie: str) -> Said | None:
    """What a cookie holds; None where it is not one of ours."""
    try:
        said = msgspec.json.decode(urlsafe_b64decode(cookie + "=="), type=Said)
    except (ValueError, msgspec.MsgspecError):
        return None
    return said if said.kind in {"good", "bad", "plain"} else None
