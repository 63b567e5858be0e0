"""The document's schemas: msgspec's own, so that what is described is what is decoded and encoded.

Docstrings describe them; those of `Attributes:` sections describe their properties.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeGuard, get_origin

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as kinds

Json: TypeAlias = dict[str, object]

REFERENCE: Final = "#/components/schemas/{name}"
_PAGE = re.compile(r"Page_(\w+)_")
_ATTRIBUTE = re.compile(r" {4}(\w+): (.*)")
_ATTRIBUTES = "Attributes:"


class Schemas:
    """The schemas of what is sent and of what is answered; those of Structs and enumerations are components."""

    def __init__(self, sent: Sequence[object], answered: Sequence[object]) -> None:
        types, asked = (*sent, *answered), [struct.cls for struct in _structs(sent)]
        structs = _structs(types)
        named = list(dict.fromkeys((*types, *(struct.cls for struct in structs))))
        schemas, components = msgspec.json.schema_components(named, schema_hook=_anything, ref_template=REFERENCE)
        names = {name: _short(name) for name in components}
        self._schemas = dict(zip(named, (_renamed(schema, names) for schema in schemas), strict=True))
        whole = {names[name]: _renamed(schema, names) for name, schema in components.items()}
        # Of the keys of a mapping msgspec makes components, too, and refers to none.
        said = msgspec.json.encode([list(self._schemas.values()), whole]).decode()
        self.components: Json = {
            name: schema for name, schema in sorted(whole.items()) if f'"{REFERENCE.format(name=name)}"' in said
        }
        for struct in structs:
            self._tell(struct, whole=struct.cls not in asked and not _plain(struct.cls).__struct_config__.omit_defaults)

    def of(self, kind: object) -> Json:
        """The schema of one of the types."""
        return self._schemas[kind]

    def _tell(self, struct: kinds.StructType, *, whole: bool) -> None:
        """What msgspec does not; `whole`: it is answered only, and with every field that it has."""
        reference = self._schemas[struct.cls]["$ref"]
        component = self.components[str(reference).rpartition("/")[2]]
        if not _is_object(component) or not _is_object(properties := component["properties"]):
            return
        said, attributes = _told(struct.cls)
        component["description"] = said
        component["title"] = str(reference).rpartition("/")[2]
        for field in struct.fields:
            schema = properties[field.encode_name]
            if _is_object(schema):
                _tell_moments(schema, field.type)
                _tell_text(schema, attributes.get(field.name))
                if whole:
                    schema.pop("default", None)
        if whole:
            component["required"] = [field.encode_name for field in struct.fields if _is_there(field)]


def _anything(kind: type) -> Json:
    """The schema of `object`, the one type that msgspec has none for."""
    if kind is not object:
        raise TypeError(f"{kind} cannot be described")
    return {"description": "Any JSON value."}


def _is_object(thing: object) -> TypeGuard[Json]:
    return isinstance(thing, dict)


def _renamed(schema: object, names: dict[str, str]) -> Json:
    """The schema with the short names in its references."""
    text = msgspec.json.encode(schema).decode()
    for name, short in names.items():
        text = text.replace(f'"{REFERENCE.format(name=name)}"', f'"{REFERENCE.format(name=short)}"')
    return msgspec.json.decode(text, type=dict[str, object])


def _short(name: str) -> str:
    """A component's name: `ias.billing.spend.domain.Totals`, of which there are others, is `SpendTotals`."""
    page = _PAGE.fullmatch(name)
    if page is not None:
        return f"{_short(page[1])}Page"
    *modules, last = name.split(".")
    return f"{modules[-2].title()}{last}" if len(modules) > 1 else last


def _structs(types: Iterable[object]) -> list[kinds.StructType]:
    """Every Struct in these types, at any depth."""
    found: dict[object, kinds.StructType] = {}
    left = [*kinds.multi_type_info(list(types))]
    while left:
        kind = left.pop()
        if isinstance(kind, kinds.StructType):
            if kind.cls in found:
                continue
            found[kind.cls] = kind
        left.extend(_within(kind))
    return list(found.values())


def _within(kind: kinds.Type) -> Sequence[kinds.Type]:
    match kind:
        case kinds.StructType(fields=fields):
            return [field.type for field in fields]
        case kinds.UnionType(types=types):
            return types
        case kinds.ListType(item_type=item) | kinds.VarTupleType(item_type=item) | kinds.Metadata(type=item):
            return (item,)
        case kinds.DictType(value_type=value):
            return (value,)
        case _:
            return ()


def _is_there(field: kinds.Field) -> bool:
    """Whether an answer always has the field; one that may be unset has no default here."""
    return field.required or (field.default, field.default_factory) != (NODEFAULT, NODEFAULT)


def _plain(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The class itself, of one that is of something, too."""
    return get_origin(kind) or kind


def _told(kind: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the whole, and of attributes."""
    said, _, listed = inspect.cleandoc(_plain(kind).__doc__ or "").partition(f"\n{_ATTRIBUTES}\n")
    attributes: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        match = _ATTRIBUTE.fullmatch(line)
        if match is not None:
            name, attributes[match[1]] = match[1], match[2]
        elif name:
            attributes[name] += f" {line.strip()}"
    return said.strip(), attributes


def _tell_moments(schema: Json, kind: kinds.Type) -> None:
    """Moments are text of a form that msgspec does not name, for it takes those without a time zone, too."""
    if any(isinstance(each, kinds.DateTimeType) for each in (kind, *_within(kind))):
        for branch in _strings(schema):
            branch["format"] = "date-time"


def _strings(schema: Json) -> Iterator[Json]:
    branches = schema.get("anyOf", [schema])
    if isinstance(branches, list):
        yield from (branch for branch in branches if _is_object(branch) and branch.get("type") == "string")


def _tell_text(schema: Json, said: str | None) -> None:
    if said is not None:
        schema["description"] = said[:1].upper() + said[1:]
