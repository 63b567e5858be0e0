"""What a form sends: its fields, made into what an action takes, and shown again with what is wrong with each."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from ias.bodies import fault_of
from ias.problems import BadRequest, FieldError, Problem

URLENCODED: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 2000
_MENDABLE: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT,
     HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS}
)  # fmt: skip
"""Not 412: the form shown again would write over what somebody else has changed meanwhile."""

KindT = TypeVar("KindT")


class Form:
    """The fields of a form, as sent; empty before anything was."""

    def __init__(self, fields: Mapping[str, list[str]] | None = None, problem: Problem | None = None) -> None:
        self._fields = dict(fields or {})
        self.problem = problem

    def text(self, name: str, default: str = "") -> str:
        """A field, without the blanks around it."""
        return self._fields.get(name, [default])[0].strip()

    def secret(self, name: str) -> str:
        """A field as it was sent, such as a password."""
        return self._fields.get(name, [""])[0]

    def every(self, name: str) -> list[str]:
        """All values of a field that there may be more of, such as checkboxes."""
        return [value for value in self._fields.get(name, []) if value.strip()]

    def sent(self, name: str) -> list[str]:
        """All values of a field as they were sent, also blank ones: for those that belong to others by their place."""
        return list(self._fields.get(name, []))

    def has(self, name: str, value: str) -> bool:
        """Whether a field was sent with this value, for checkboxes and selects."""
        return value in self._fields.get(name, [])

    def moment(self, name: str) -> datetime | None:
        """What a field of type `date` or `datetime-local` says, which is taken as UTC; None where it is empty.

        Raises:
            BadRequest: it is no moment.
        """
        sent = self.text(name)
        if not sent:
            return None
        try:
            moment = datetime.fromisoformat(sent)
        except ValueError:
            said = "write a date, such as 2030-01-31"
            raise BadRequest(f"{name}: {said}", (FieldError(f"/{name}", said),)) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def made(self, kind: type[KindT], **fields: object) -> KindT:
        """What an action takes. Fields that are given here stand for those of the form; empty ones are left out.

        Raises:
            BadRequest: a field is not what it has to be; names it.
        """
        names = {field.encode_name for field in msgspec.structs.fields(_struct(kind))}
        sent = {name: self.text(name) for name in names if self.text(name)}
        try:
            return msgspec.convert(sent | fields, kind, strict=False)
        except msgspec.ValidationError as error:
            fault = fault_of(str(error))
            raise BadRequest(fault.said(), (fault,)) from None

    def refused(self, problem: Problem) -> "Form":
        """The same form, to be shown again with what is wrong with it.

        Raises:
            Problem: no change of the form would mend it.
        """
        if problem.status not in _MENDABLE:
            raise problem
        return Form(self._fields, problem)

    @property
    def status(self) -> int:
        """The status of the page that shows it."""
        return HTTPStatus.OK if self.problem is None else self.problem.status

    @property
    def said(self) -> str:
        """What is wrong with it as a whole; empty where its fields say everything, or nothing is."""
        if self.problem is None or self.problem.errors:
            return ""
        return self.problem.detail

    def fault(self, name: str) -> str:
        """What is wrong with a field; empty where nothing is."""
        errors = () if self.problem is None else self.problem.errors
        return "; ".join(error.detail for error in errors if error.place.partition("/")[0] == name)

    def strays(self, *names: str) -> tuple[str, ...]:
        """What is wrong with fields that a page does not show: all but these."""
        errors = () if self.problem is None else self.problem.errors
        return tuple(error.said() for error in errors if error.place.partition("/")[0] not in names)


def parsed(body: bytes) -> Form:
    """The form in the body of a request.

    Raises:
        BadRequest: there are too many fields, or it is not UTF-8.
    """
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("this form cannot be read; open the page again, and send it from there") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return Form(fields)


def _struct(kind: type[object]) -> type[msgspec.Struct]:
    if not issubclass(kind, msgspec.Struct):
        raise TypeError(f"{kind} is no Struct")
    return kind
