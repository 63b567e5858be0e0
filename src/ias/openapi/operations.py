"""One route and method as the document has it: what is sent, what is answered, and every way to be refused."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from inspect import cleandoc
from types import UnionType
from typing import Final, Union, get_args, get_origin

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response

from ias.conditions import Changed
from ias.identity import PUBLIC
from ias.openapi import parameters, refusals
from ias.openapi.schemas import Json, Schemas
from ias.paging import Page
from ias.parameters import UnknownParameter
from ias.parameters import parameters as parameters_of
from ias.problems import (
    RAISED,
    BadRequest,
    BodyTooLarge,
    NotFound,
    NotJson,
    Problem,
    ProblemDetails,
    Unavailable,
    Unexpected,
)

JSON: Final = "application/json"
CSV: Final = "text/csv"
"""Of an answer that may be had as JSON, too: `Accept` says which."""
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")
_SUMMARY = re.compile(r"(.+?)(?:[.;:](?:\s|$)|$)", re.DOTALL)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the contexts say of their routes.

    Attributes:
        tags: what each tag holds.
        examples: one of each Struct that is sent or answered.
        texts: an example of each answer that is not JSON, by its media type.
        logged_in: how whoever must be logged in may be refused.
        guarded: how whoever must hold a permission may be refused.
        repeated: how a POST with an `Idempotency-Key` may be refused.
    """

    tags: Mapping[str, str]
    examples: Sequence[msgspec.Struct]
    texts: Mapping[str, str]
    logged_in: Sequence[type[Problem]]
    guarded: Sequence[type[Problem]]
    repeated: Sequence[type[Problem]]

    def example(self, kind: object) -> object:
        """One of this kind, as JSON has it."""
        if get_origin(kind) is Page:
            return {"items": [self.example(get_args(kind)[0])], "next_cursor": None}
        return next((msgspec.to_builtins(each) for each in self.examples if type(each) is kind), None)


class Operation:
    """One of them."""

    def __init__(self, method: str, handler: HTTPRouteHandler, told: Told) -> None:
        self.handler, self.told = handler, told
        self.public = bool(handler.opt.get(PUBLIC))
        self.repeatable = method == "POST" and not self.public
        self.parameters = parameters_of(handler)
        data = handler.parsed_fn_signature.parameters.get("data")
        self.sent: object = None if data is None else data.annotation
        answers = _members(handler.parsed_fn_signature.return_type.annotation)
        self.answered = next((kind for kind in answers if not _is_text(kind)), None)
        self.texts = [str(handler.media_type) if self.answered is None else CSV for kind in answers if _is_text(kind)]
        guards = [guard for layer in handler.ownership_layers for guard in layer.guards or ()]
        self.permissions = [str(guard.args[0]) for guard in guards if isinstance(guard, partial)]

    def taken(self) -> Iterator[object]:
        """The types of what is sent."""
        yield from (parameters.kind(each) for each in self.parameters)
        yield from () if self.sent is None else (self.sent,)

    def given(self) -> Iterator[object]:
        """The types of what is answered."""
        yield from () if self.answered is None else (self.answered,)

    def problems(self) -> list[type[Problem]]:
        """All that it may answer with."""
        found: list[type[Problem]] = [UnknownParameter, Unexpected, Unavailable, *_raised(self.handler)]
        takes: tuple[tuple[object, Sequence[type[Problem]]], ...] = (
            (self.parameters or self.sent, (BadRequest,)),
            (self.sent, (BodyTooLarge, NotJson)),
            (any(each.in_path for each in self.parameters), (NotFound,)),
            (not self.public, self.told.logged_in),
            (self.permissions, self.told.guarded),
            (self.repeatable, self.told.repeated),
        )
        return found + [problem for holds, raised in takes if holds for problem in raised]

    def told_as(self, schemas: Schemas) -> Json:
        """As the document has it."""
        said = cleandoc(self.handler.fn.__doc__ or "")
        match = _SUMMARY.match(said)
        needed = f"\n\nNeeds the permission {' and '.join(f'`{name}`' for name in self.permissions)}."
        body = {} if self.sent is None else {"requestBody": self._body(schemas)}
        return {
            "tags": sorted(self.handler.resolve_tags()),
            "summary": " ".join(match[1].split()) if match else said,
            "description": said + (needed if self.permissions else ""),
            "operationId": _id(self.handler),
            "parameters": [*(parameters.told(each, schemas) for each in self.parameters), *self._headers()],
            **body,
            "responses": {str(self.handler.status_code): self._success(schemas), **self._refused(schemas)},
            "security": [] if self.public else [{"bearer": self.permissions}],
        }

    def _headers(self) -> list[Json]:
        given = ("Idempotency-Key" if self.repeatable else "", "If-Match" if Changed in self.problems() else "")
        return [{"$ref": f"#/components/parameters/{name}"} for name in given if name]

    def _body(self, schemas: Schemas) -> Json:
        content = {"schema": schemas.of(self.sent), "example": self.told.example(self.sent)}
        return {"required": True, "content": {JSON: content}}

    def _success(self, schemas: Schemas) -> Json:
        repeated = ["Idempotency-Replayed"] if self.repeatable else []
        tagged = ["ETag"] if isinstance(self.answered, type) and issubclass(self.answered, msgspec.Struct) else []
        content: Json = {
            kind: {"schema": {"type": "string"}, "example": self.told.texts.get(kind, "")} for kind in self.texts
        }
        if self.answered is not None:
            example = self.told.example(self.answered)
            shown = {} if example is None else {"example": example}
            content = {JSON: {"schema": schemas.of(self.answered), **shown}, **content}
        answer: Json = {"description": "Done.", "headers": refusals.headers(*tagged, *repeated)}
        return {**answer, "content": content} if content else answer

    def _refused(self, schemas: Schemas) -> Json:
        shared = self.shared()
        return {
            str(status): {"$ref": f"#/components/responses/{refusals.name(problems)}"}
            if status in shared
            else refusals.response(problems, schemas.of(ProblemDetails))
            for status, problems in refusals.by_status(self.problems()).items()
        }

    def shared(self) -> dict[int, list[type[Problem]]]:
        """How every route of its kind may be refused, by status, where this one adds nothing of its own."""
        own = {problem.status for problem in _raised(self.handler)}
        whole = refusals.by_status(self.problems())
        return {status: problems for status, problems in whole.items() if status not in own}


def _raised(handler: HTTPRouteHandler) -> Sequence[type[Problem]]:
    raised = handler.opt.get(RAISED, ())
    return tuple(each for each in raised if isinstance(each, type) and issubclass(each, Problem))


def _id(handler: HTTPRouteHandler) -> str:
    """Of `KeyApi.issue`: `key_issue`. It stays while the method does."""
    controller, _, verb = handler.fn.__qualname__.rpartition(".")
    return f"{_WORDS.sub('_', controller.removesuffix('Api')).lower()}_{verb}"


def _members(kind: object) -> Sequence[object]:
    """The kinds that a type says; nothing is none."""
    members = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return [member for member in members if member not in {None, type(None)}]


def _is_text(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Response)
