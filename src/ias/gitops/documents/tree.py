"""YAML as a tree that knows where everything is. Nothing is made of it but text: no anchors, no tags, no bombs.

What YAML can do and a policy does not need is refused while it is read, so that no document grows by being read.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from ias.gitops.documents.faults import Fault, Mark, fault, shown, whole

MOST_BYTES: Final = 256 * 1024
MOST_DEPTH: Final = 16
MOST_ITEMS: Final = 2_000
"""Fields and items of lists, all of a document together."""
_MOST_EVENTS: Final = 8 * MOST_ITEMS


class Scalar(msgspec.Struct, frozen=True):
    """Text as it stands there; `plain` where it is not in quotes, so that it may be a number or null."""

    mark: Mark
    text: str
    plain: bool


class Items(msgspec.Struct, frozen=True):
    """A list."""

    mark: Mark
    items: list["Node"]


class Fields(msgspec.Struct, frozen=True):
    """A mapping, in its order; a name that comes twice has its first value."""

    mark: Mark
    fields: dict[str, tuple[Scalar, "Node"]]


Node: TypeAlias = Scalar | Items | Fields


class Refused(Exception):
    """The rest of the document cannot be read."""

    def __init__(self, found: Fault) -> None:
        super().__init__(found.detail)
        self.found = found


class _Open(msgspec.Struct):
    """A list or mapping whose end has not been read."""

    node: Items | Fields
    name: Scalar | None = None


class Builder:
    """Takes events and builds the tree; what is wrong is kept, so that all of it can be told."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._documents = 0
        self._items = 0

    def take(self, event: Event) -> None:
        """The next event.

        Raises:
            Refused: the rest is not to be read.
        """
        mark = _mark(event.start_mark)
        self._refuse_extras(event, mark)
        match event:
            case DocumentStartEvent():
                self._begin(event, mark)
            case AliasEvent():
                self._put(Scalar(mark, "", plain=True))
            case ScalarEvent():
                self._put(Scalar(mark, str(event.value), plain=event.style is None))
            case SequenceStartEvent():
                self._descend(Items(mark, []))
            case MappingStartEvent():
                self._descend(Fields(mark, {}))
            case SequenceEndEvent() | MappingEndEvent():
                self._open.pop()
            case _:
                pass

    def _begin(self, event: DocumentStartEvent, mark: Mark) -> None:
        self._documents += 1
        if self._documents > 1:
            raise Refused(fault(mark, "", "a second document begins here; a policy is one document"))
        if event.version is not None and tuple(event.version) != (1, 2):
            self.faults.append(fault(mark, "", "is YAML 1.2; take the %YAML line away"))

    def _refuse_extras(self, event: Event, mark: Mark) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, AliasEvent):
            self.faults.append(fault(mark, "", f"*{anchor}: aliases are not taken; write the value itself"))
        elif anchor is not None:
            self.faults.append(fault(mark, "", f"&{anchor}: anchors are not taken; write the value where it is needed"))
        if tag is not None:
            self.faults.append(fault(mark, "", f"tag {shown(str(tag))}: tags are not taken; take it away"))

    def _count(self, mark: Mark) -> None:
        self._items += 1
        if self._items > MOST_ITEMS:
            raise Refused(fault(mark, "", f"has more than {MOST_ITEMS:,} items"))

    def _descend(self, node: Items | Fields) -> None:
        self._put(node)
        self._open.append(_Open(node))
        if len(self._open) > MOST_DEPTH:
            raise Refused(fault(node.mark, "", f"is nested deeper than {MOST_DEPTH}"))

    def _put(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if isinstance(top.node, Fields) and top.name is None:
            top.name = self._name(node)
            return
        self._count(node.mark)
        if isinstance(top.node, Items):
            top.node.items.append(node)
        elif top.name is not None:
            self._give(top.node, top.name, node)
            top.name = None

    def _name(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            raise Refused(fault(node.mark, "", "a list or a mapping cannot be a name; is something missing before it?"))
        return node

    def _give(self, node: Fields, name: Scalar, value: Node) -> None:
        before = node.fields.setdefault(name.text, (name, value))
        if before[0] is not name:
            said = f"{shown(name.text)} is there twice; the first is in line {before[0].mark.line}"
            self.faults.append(fault(name.mark, "", said))


def read(source: bytes) -> tuple[Node | None, list[Fault]]:
    """The tree of a document, as far as it could be read, and what is wrong with its form."""
    if len(source) > MOST_BYTES:
        return None, [whole(f"has {len(source):,} bytes; {MOST_BYTES:,} are taken")]
    builder = Builder()
    try:
        for event in _events(source.decode("utf-8")):
            builder.take(event)
    except Exception as error:  # noqa: BLE001 - the scanner has mistakes of its own on what nobody writes by hand
        return None, [*builder.faults, _fault_of(error, source)]
    if builder.root is None:
        builder.faults.append(whole("is empty"))
    return builder.root, builder.faults


def _fault_of(error: Exception, source: bytes) -> Fault:
    match error:
        case Refused():
            return error.found
        case UnicodeDecodeError():
            line = source.count(b"\n", 0, error.start) + 1
            return Fault(line, error.start - source.rfind(b"\n", 0, error.start), "", "is not UTF-8")
        case MarkedYAMLError():
            return _misformed(error)
        case _:
            return whole("is not YAML: there is something in it that is no text, such as a control character")


def _events(text: str) -> Iterator[Event]:
    for number, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        if number > _MOST_EVENTS:
            raise Refused(whole(f"has more than {MOST_ITEMS:,} items"))
        yield event


def _mark(mark: object) -> Mark:
    """Counted from 1."""
    return Mark(getattr(mark, "line", -1) + 1, getattr(mark, "column", -1) + 1)


def _misformed(error: MarkedYAMLError) -> Fault:
    mark = _mark(error.problem_mark or error.context_mark)
    problem = str(error.problem or error.context or "it cannot be read").split("\n", 1)[0]
    return fault(mark, "", f"is not YAML: {problem}; is a quote, a bracket or an indentation missing?")
