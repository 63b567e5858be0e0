"""Reading a policy file: form, shape, and what its parts say together. Every fault is told at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from ias.gitops.documents.domain import Document
from ias.gitops.documents.faults import MOST, Fault, Mark, fault, meant, shown, whole
from ias.gitops.documents.shape import document
from ias.gitops.documents.tree import Fields, Items, Node, read
from ias.identity.values import clean_address, folded
from ias.problems import Problem

SECTIONS: Final = {
    "metadata": "metadata",
    "budgets": "spec.budgets",
    "users": "spec.users",
    "rate_limits": "spec.rate_limits",
    "allowed_models": "spec.allowed_models",
    "alert_thresholds": "spec.alert_thresholds",
}
"""The parts that Git manages where a file has them, and where it has them."""
_PAIRS: Final = (("burst", "requests_per_second"), ("user_burst", "user_requests_per_second"))


class Loaded(msgspec.Struct, frozen=True):
    """A file that was read: its Document, or what is wrong with it; and the line of each part that it has."""

    document: Document | None
    faults: tuple[Fault, ...]
    lines: dict[str, int] = {}


def load(source: bytes, name: str | None = None) -> Loaded:
    """Read a policy file. `name` is what its folder is called, where it has one."""
    root, faults = read(source)
    if root is None:
        return Loaded(None, tuple(faults[:MOST]))
    found, misshapen = document(root)
    faults += misshapen
    if isinstance(root, Fields):
        faults += _together(root, name)
    if faults or found is None:
        return Loaded(None, tuple(sorted(faults, key=lambda each: (each.line, each.column))[:MOST]))
    return Loaded(found, (), _lines(root))


def load_known(source: bytes, name: str | None, models: Sequence[str]) -> Loaded:
    """The same where it is known which models there are."""
    loaded, (root, _) = load(source, name), read(source)
    named = _at(root, "spec.allowed_models")
    if loaded.document is None or not isinstance(named, Items):
        return loaded
    unknown = [
        fault(item.mark, f"spec.allowed_models[{place}]", f"no model is called {shown(text)}; {meant(text, [*models])}")
        for place, (item, text) in enumerate(_texts(named))
        if text not in models
    ]
    return Loaded(None, tuple(unknown)) if unknown else loaded


def named(folder: str, text: str) -> str:
    """What is wrong with the name of a document in a folder; empty where it is right."""
    return "" if text == folder else f"must be {shown(folder)}, the name of the organisation and of its folder"


def _together(root: Fields, name: str | None) -> Iterator[Fault]:
    said = _at(root, "metadata.name")
    text = _text(said)
    if name is not None and said is not None and text is not None and text != name:
        yield fault(said.mark, "metadata.name", named(name, text))
    yield from _addresses(_at(root, "spec.users"))
    yield from _twice(_at(root, "spec.allowed_models"), "spec.allowed_models", _text)
    yield from _twice(_at(root, "spec.alert_thresholds"), "spec.alert_thresholds", _percent)
    yield from _bursts(_at(root, "spec.rate_limits"))


def _addresses(users: Node | None) -> Iterator[Fault]:
    if not isinstance(users, Items):
        return
    first: dict[str, Mark] = {}
    for place, user in enumerate(users.items):
        email = _at(user, "email")
        text = _text(email)
        if email is None or text is None:
            continue
        path = f"spec.users[{place}].email"
        try:
            address = clean_address(text, "")
        except Problem:
            yield fault(email.mark, path, f"must be an e-mail address such as ada@example.org, not {shown(text)}")
            continue
        if address != text:
            yield fault(email.mark, path, f"must have no space around it: {shown(text)}")
        twin = folded(address)
        before = first.setdefault(twin, email.mark)
        if before is not email.mark:
            yield fault(email.mark, path, f"{shown(text)} is the address of line {before.line} again")


def _twice(listed: Node | None, path: str, of: Callable[[Node | None], str | None]) -> Iterator[Fault]:
    if not isinstance(listed, Items):
        return
    first: dict[str, Mark] = {}
    for place, item in enumerate(listed.items):
        text = of(item)
        before = first.setdefault(text, item.mark) if text is not None else item.mark
        if before is not item.mark:
            yield fault(item.mark, f"{path}[{place}]", f"{shown(text or '')} is there already, in line {before.line}")


def _bursts(rates: Node | None) -> Iterator[Fault]:
    for burst, rate in _PAIRS:
        node = _at(rates, burst)
        most, least = _text(node), _text(_at(rates, rate))
        numbers = most is not None and least is not None and most.isdecimal() and least.isdecimal()
        if node is not None and numbers and len(f"{most}{least}") < MOST and int(most or 0) < int(least or 0):
            yield fault(node.mark, f"spec.rate_limits.{burst}", f"must be at least {rate} ({least})")


def _texts(listed: Items) -> Iterator[tuple[Node, str]]:
    for item in listed.items:
        yield item, _text(item) or ""


def _text(node: Node | None) -> str | None:
    return None if node is None or isinstance(node, Fields | Items) else node.text


def _percent(node: Node | None) -> str | None:
    return _text(_at(node, "percent"))


def _at(root: Node | None, path: str) -> Node | None:
    """What is there, None where nothing is."""
    node = root
    for step in path.split("."):
        if not isinstance(node, Fields) or step not in node.fields:
            return None
        node = node.fields[step][1]
    return node


def _lines(root: Node) -> dict[str, int]:
    lines = {}
    for name, path in SECTIONS.items():
        holder, _, last = path.rpartition(".")
        node = _at(root, holder) if holder else root
        if isinstance(node, Fields) and last in node.fields:
            lines[name] = node.fields[last][0].mark.line
    return lines


def missing(path: str) -> Fault:
    """The file is not there."""
    return whole(f"{path} is not in this commit")
