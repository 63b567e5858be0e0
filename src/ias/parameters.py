"""What a route reads of its path and query; the document tells of it, and nothing else may be asked."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import get_args

import msgspec
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import ParamType
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg
from litestar.typing import FieldDefinition
from msgspec import UNSET

from ias.problems import BadRequest, FieldError, Problem

_SHOWN = 40
"""Characters of a name that nobody knows."""
_OTHERS = frozenset({"data", "request"})


class UnknownParameter(Problem):
    """The route has no parameter of this name; what would have been left out of account is refused."""

    title = "Unknown parameter"


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a path, a query or a header, and the argument that takes it."""

    name: str
    place: ParamType
    field: FieldDefinition

    @property
    def in_path(self) -> bool:
        """Whether it is part of the path."""
        return self.place is ParamType.PATH


def parameters(handler: BaseRouteHandler) -> list[Parameter]:
    """Those of a route, of the path first."""
    found: dict[str, Parameter] = {}
    for argument, field in _fields(handler, handler.parsed_fn_signature.parameters):
        definition = field.kwarg_definition
        named = definition if isinstance(definition, ParameterKwarg) else ParameterKwarg()
        name = named.name or argument
        found.setdefault(name, Parameter(name, named.param_type, field))
    return sorted(found.values(), key=lambda each: not each.in_path)


async def only_known(connection: ASGIConnection[BaseRouteHandler, object, object, State], _: BaseRouteHandler) -> None:
    """A guard of every route of the document.

    Raises:
        UnknownParameter: the query has a parameter that the document does not tell of.
        BadRequest: a parameter that is no text is `null`, which would be taken as left out.
    """
    asked = connection.query_params.keys()
    if not asked:
        return
    known = _known(connection.route_handler)  # what a guard is given is a copy of it
    for name in sorted(asked - known.keys()):
        said = f"there is no such parameter; there are: {', '.join(sorted(known)) or 'none'}"
        shown = name[:_SHOWN]
        raise UnknownParameter(f"{shown!r}: {said}", (FieldError(UNSET, said, parameter=shown),))
    for name, value in connection.query_params.multi_items():
        if value.lower() == "null" and not known[name]:
            said = "null is no value; leave the parameter out"
            raise BadRequest(f"{name}: {said}", (FieldError(UNSET, said, parameter=name),))


@cache
def _known(handler: BaseRouteHandler) -> dict[str, bool]:
    """The parameters of the query, and whether each may be any text."""
    asked = (each for each in parameters(handler) if each.place is ParamType.QUERY)
    return {each.name: str in (each.field.annotation, *get_args(each.field.annotation)) for each in asked}


def _fields(handler: BaseRouteHandler, named: Mapping[str, FieldDefinition]) -> Iterator[tuple[str, FieldDefinition]]:
    """What is read of the request, also by what is provided to the handler."""
    provided = handler.resolve_dependencies()
    for name, field in named.items():
        if name in provided:
            yield from _fields(handler, provided[name].parsed_fn_signature.parameters)
        elif name not in _OTHERS:
            yield name, field
