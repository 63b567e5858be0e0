"""A browser without JavaScript: it follows links, fills in forms, keeps cookies and sends what browsers send."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

import httpx

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attrs: dict[str, str]
    parts: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, with single blanks."""
        said = "".join(part if isinstance(part, str) else f" {part.text} " for part in self.parts)
        return " ".join(said.split())

    def all(self, tag: str = "", **attrs: str) -> list["Element"]:
        """Elements below it; attributes are named with `_` for `-` and behind reserved words."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items()}
        found = []
        for part in self.parts:
            if isinstance(part, Element):
                if tag in {"", part.tag} and all(part.attrs.get(name) == value for name, value in wanted.items()):
                    found.append(part)
                found += part.all(tag, **attrs)
        return found

    def one(self, tag: str = "", **attrs: str) -> "Element":
        """The only one."""
        found = self.all(tag, **attrs)
        assert len(found) == 1, f"{len(found)} of <{tag}> {attrs} in: {self.text[:2000]}"
        return found[0]

    def classed(self, name: str) -> list["Element"]:
        """Elements below it of this class."""
        return [each for each in self.all() if name in each.attrs.get("class", "").split()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].parts.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].parts.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> ends <{self._open[-1].tag}> on line {self.getpos()}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].parts.append(data)


def read(html: str) -> Element:
    """A page as elements; what is opened must be closed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader._open == [reader.root]
    return reader.root


class Browser:
    """Somebody's browser, at an address of this machine. `page` is what it shows, `answer` how that came."""

    def __init__(self, url: str, source: str | None = None) -> None:
        self.url = url
        self.cookies: dict[str, str] = {}
        self.set: list[str] = []
        """The `Set-Cookie` headers so far."""
        self.page = Element("", {})
        self.answer: httpx.Response
        way = httpx.HTTPTransport(verify=False, trust_env=False, local_address=source)
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False, transport=way, follow_redirects=False)

    @property
    def path(self) -> str:
        """Where it is, with the query."""
        return self.answer.request.url.raw_path.decode()

    @property
    def status(self) -> int:
        return self.answer.status_code

    def open(self, path: str, headers: Mapping[str, str] | None = None) -> Element:
        """Go somewhere, and wherever that leads to."""
        return self._go("GET", path, None, {"sec-fetch-site": "none", **(headers or {})})

    def follow(self, text: str) -> Element:
        """Follow the link of this text."""
        found = [link for link in self.page.all("a") if link.text == text]
        assert found, f"no link {text!r} on {self.path}: {[link.text for link in self.page.all('a')]}"
        return self._go("GET", urljoin(self.path, found[0].attrs["href"]), None, {"sec-fetch-site": "same-origin"})

    def form(self, button: str) -> Element:
        """The form with this button."""
        forms = [form for form in self.page.all("form") if any(each.text == button for each in self.of(form, "button"))]
        assert forms, f"no button {button!r} on {self.path}: {[each.text for each in self.page.all('button')]}"
        return forms[0]

    def of(self, form: Element, tag: str = "") -> list[Element]:
        """What belongs to a form: what is in it, and what names it by `form`."""
        return form.all(tag) + (self.page.all(tag, form=form.attrs["id"]) if "id" in form.attrs else [])

    def press(self, button: str, **fields: str | list[str]) -> Element:
        """Fill in the form of this button, and send it. Fields that it does not have are a fault of the test."""
        form = self.form(button)
        sent = _filled(self.of(form))
        for name, value in fields.items():
            assert any(each.attrs.get("name") == name for each in self.of(form)), f"the form has no field {name!r}"
            sent[name] = value if isinstance(value, list) else [value]
        [pressed] = [each for each in self.of(form, "button") if each.text == button][:1]
        if "name" in pressed.attrs:
            sent[pressed.attrs["name"]] = [pressed.attrs.get("value", "")]
        to = urljoin(self.path, pressed.attrs.get("formaction", form.attrs.get("action", self.path)))
        if form.attrs.get("method", "get").lower() == "get":
            query = str(httpx.QueryParams({name: value for name, value in sent.items() if value != [""]}))
            return self._go("GET", f"{to.partition('?')[0]}?{query}", None, {"sec-fetch-site": "same-origin"})
        return self.send(to, sent)

    def send(
        self, path: str, fields: Mapping[str, list[str] | str], headers: Mapping[str, str] | None = None
    ) -> Element:
        """Send a form, as browsers do."""
        own = {"origin": self.url, "sec-fetch-site": "same-origin"}
        return self._go("POST", path, dict(fields), own | dict(headers or {}))

    def login(self, email: str, password: str) -> Element:
        self.open("/login")
        return self.press("Log in", email=email, password=password)

    @property
    def csrf(self) -> str:
        """The token that the page's forms carry."""
        return self.page.all("input", name="csrf")[0].attrs["value"]

    def _go(
        self, method: str, path: str, fields: dict[str, str | list[str]] | None, headers: dict[str, str]
    ) -> Element:
        for _ in range(5):
            answer = self._ask(method, path, fields, headers)
            if answer.status_code not in {302, 303, 307, 308}:
                break
            method, fields = "GET", None
            path = urljoin(path, answer.headers["location"])
            assert urlsplit(path).netloc in {"", urlsplit(self.url).netloc}, f"led away: {path}"
        else:
            raise AssertionError(f"led around: {path}")
        is_page = answer.headers.get("content-type", "").startswith("text/html") and answer.content
        self.page = read(answer.text) if is_page else Element("", {})
        return self.page

    def _ask(
        self, method: str, path: str, fields: dict[str, str | list[str]] | None, headers: dict[str, str]
    ) -> httpx.Response:
        """One request; cookies are sent as browsers send them to their own machine, `Secure` ones too."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"accept": "text/html,application/xhtml+xml;q=0.9", "user-agent": "Tests/1.0", **headers}
        if cookie:
            sent["cookie"] = cookie
        self.answer = self._client.request(method, path, data=fields, headers=sent)
        self._client.cookies.clear()
        for said in self.answer.headers.get_list("set-cookie"):
            self.set.append(said)
            for name, morsel in SimpleCookie(said).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return self.answer


def _filled(parts: list[Element]) -> dict[str, list[str]]:
    """What a form of these holds before anything is typed."""
    sent: dict[str, list[str]] = {}
    for each in parts:
        name, kind = each.attrs.get("name", ""), each.attrs.get("type", "text")
        if not name or each.tag not in {"input", "select", "textarea"}:
            continue
        if each.tag == "select":
            chosen = [option for option in each.all("option") if "selected" in option.attrs] or each.all("option")[:1]
            sent.setdefault(name, []).extend(option.attrs.get("value", option.text) for option in chosen)
        elif each.tag == "textarea":
            sent.setdefault(name, []).append("".join(part for part in each.parts if isinstance(part, str)))
        elif kind not in {"checkbox", "radio"} or "checked" in each.attrs:
            sent.setdefault(name, []).append(each.attrs.get("value", "on" if kind == "checkbox" else ""))
    return sent
