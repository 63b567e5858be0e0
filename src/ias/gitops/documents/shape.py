"""From the tree to a Document: every fault at once, each where it is."""

import re
from typing import Final

import msgspec
from msgspec import inspect

from ias.gitops.documents.domain import Document
from ias.gitops.documents.faults import Fault, fault, meant, shown
from ias.gitops.documents.tree import Fields, Items, Node, Scalar

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_LOOSE: Final = re.compile(r"[0-9][0-9_,' ]*")
_STRAY: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")
"""Control characters, and halves of characters: neither databases nor UTF-8 take them."""
_PLACES: Final = {
    "rate_limit": "spec.rate_limits",
    "limits": "spec.rate_limits",
    "models": "spec.allowed_models",
    "members": "spec.users",
    "budget": "spec.budgets",
    "thresholds": "spec.alert_thresholds",
    "cost_centre": "metadata.cost_center",
    "monthly_tokens": "spec.budgets.monthly_tokens",
}
"""What people call things, and where they are."""

Plain = dict[str, object] | list[object] | str | int | None


def document(root: Node) -> tuple[Document | None, list[Fault]]:
    """The Document of a tree, None where anything is wrong."""
    faults: list[Fault] = []
    plain = _Reading(faults).value(root, inspect.type_info(Document), "")
    if faults:
        return None, faults
    return msgspec.convert(plain, Document), []


class _Reading:
    """One walk over a tree; faults are added to the list."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults

    def value(self, node: Node, kind: inspect.Type, path: str) -> Plain:
        """What a node stands for; what is wrong with it is told, and stands for nothing."""
        bare = _bare(kind)
        if _is_null(node):
            if not isinstance(bare, inspect.UnionType):
                self._wrong(node, path, "has no value; give it one, or take the line away")
            return None
        if isinstance(bare, inspect.UnionType):
            return self.value(node, _without_null(bare), path)
        if isinstance(bare, inspect.StructType):
            return self._struct(node, bare, path)
        if isinstance(bare, inspect.ListType):
            return self._list(node, bare, path)
        if isinstance(bare, inspect.DictType):
            return self._mapping(node, bare, path)
        return self._scalar(node, bare, path)

    def _struct(self, node: Node, kind: inspect.StructType, path: str) -> Plain:
        fields = {field.encode_name: field for field in kind.fields}
        if not isinstance(node, Fields):
            self._wrong(node, path, f"must be a mapping, with {', '.join(fields)}")
            return None
        for name, (key, _) in node.fields.items():
            if name not in fields:
                self.faults.append(fault(key.mark, path, _unknown(name, list(fields))))
        for name, field in fields.items():
            if field.required and name not in node.fields:
                self.faults.append(fault(node.mark, path, f"{name} is missing"))
        given = {name: value for name, (_, value) in node.fields.items() if name in fields}
        return {name: self.value(value, fields[name].type, _under(path, name)) for name, value in given.items()}

    def _list(self, node: Node, kind: inspect.ListType, path: str) -> Plain:
        if not isinstance(node, Items):
            self._wrong(node, path, "must be a list: an item a line, each after a dash")
            return None
        least, most = kind.min_length or 0, kind.max_length
        if len(node.items) < least or (most is not None and len(node.items) > most):
            self._wrong(node, path, f"must have {least} to {most} items")
        return [self.value(item, kind.item_type, f"{path}[{place}]") for place, item in enumerate(node.items)]

    def _mapping(self, node: Node, kind: inspect.DictType, path: str) -> Plain:
        if not isinstance(node, Fields):
            self._wrong(node, path, "must be a mapping of names to values")
            return None
        if kind.max_length is not None and len(node.fields) > kind.max_length:
            self._wrong(node, path, f"must have {kind.max_length} names at most")
        for name, (key, _) in node.fields.items():
            self.value(Scalar(key.mark, name, plain=False), kind.key_type, path)
        return {
            name: self.value(value, kind.value_type, _under(path, name)) for name, (_, value) in node.fields.items()
        }

    def _scalar(self, node: Node, kind: inspect.Type, path: str) -> Plain:
        if not isinstance(node, Scalar):
            self._wrong(node, path, f"must be {_called(kind)}, not a list or a mapping")
            return None
        wrong = _wrong_with(node, kind)
        if wrong:
            self._wrong(node, path, wrong)
            return None
        return _number(node.text) if isinstance(kind, inspect.IntType) else node.text

    def _wrong(self, node: Node, path: str, detail: str) -> None:
        self.faults.append(fault(node.mark, path, detail))


def _wrong_with(node: Scalar, kind: inspect.Type) -> str:
    if isinstance(kind, inspect.IntType):
        return _wrong_number(node, kind)
    chosen = _choices(kind)
    if chosen:
        return (
            "" if node.text in chosen else f"must be {_or(chosen)}, not {shown(node.text)}{_alike(node.text, chosen)}"
        )
    return _wrong_text(node, kind)


def _wrong_number(node: Scalar, kind: inspect.IntType) -> str:
    least, most = kind.ge if kind.ge is not None else 0, kind.le
    rule = f"must be a whole number from {least} to {most}"
    if node.plain and _INTEGER.fullmatch(node.text):
        number = _number(node.text)
        return "" if least <= number and (most is None or number <= most) else f"{rule}, not {node.text}"
    if _INTEGER.fullmatch(node.text):
        return f"{rule}; take the quotes away"
    if _LOOSE.fullmatch(node.text):
        return f"{rule}; write it with digits alone: {re.sub('[^0-9]', '', node.text)}"
    return f"{rule}, not {shown(node.text)}"


def _number(text: str) -> int:
    return int(text, 0 if text[:2] in {"0o", "0x"} else 10)


def _wrong_text(node: Scalar, kind: inspect.Type) -> str:
    stray = _STRAY.search(node.text)
    if stray is not None:
        return f"has a character that is no text: U+{ord(stray[0]):04X}; take it away"
    kinds = ((_INTEGER, "a number"), (_FLOAT, "a number"))
    other = next((said for form, said in kinds if form.fullmatch(node.text)), "")
    other = "true or false" if node.text in _BOOLEAN else other
    if node.plain and other:
        return f"must be text, and {node.text} is {other}; put it in quotes: '{node.text}'"
    least, most = (kind.min_length or 0, kind.max_length) if isinstance(kind, inspect.StrType) else (0, None)
    if len(node.text) < least or (most is not None and len(node.text) > most):
        return f"must be {least} to {most} characters long"
    return ""


def _choices(kind: inspect.Type) -> list[str]:
    if isinstance(kind, inspect.EnumType):
        return [str(each.value) for each in kind.cls]
    return [str(each) for each in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _or(chosen: list[str]) -> str:
    return " or ".join(chosen)


def _alike(text: str, chosen: list[str]) -> str:
    said = meant(text, chosen)
    return f"; {said}" if said.startswith("did") and len(chosen) > 1 else ""


def _unknown(name: str, known: list[str]) -> str:
    elsewhere = _PLACES.get(name)
    return f"{shown(name)} is not known here; {f'did you mean {elsewhere}?' if elsewhere else meant(name, known)}"


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in _NULL


def _bare(kind: inspect.Type) -> inspect.Type:
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _without_null(kind: inspect.UnionType) -> inspect.Type:
    """The one type of a union that is not null: fields of a Document have no others."""
    return next(each for each in map(_bare, kind.types) if not isinstance(each, inspect.NoneType))


def _called(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.IntType):
        return "a whole number"
    chosen = _choices(kind)
    return _or(chosen) if chosen else "text"
