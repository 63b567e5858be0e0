"""What several commands take on the command line: moments, months, amounts, organisations, bodies of requests."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import rich_click as click

NONE = "none"
BodyT = TypeVar("BodyT")
WorkT = TypeVar("WorkT", bound=Callable[..., object])


class Moment(click.ParamType):
    """A day or a moment; in UTC where it does not say."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment; write 2026-01-31 or 2026-01-31T13:00:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Month(click.ParamType):
    """A month, as 2026-01."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        for form in ("%Y-%m", "%Y%m"):
            try:
                return f"{datetime.strptime(str(value), form).replace(tzinfo=UTC):%Y%m}"
            except ValueError:
                continue
        self.fail(f"{value!r} is no month; write 2026-01", param, ctx)


class Amount(click.ParamType):
    """A whole number, or `none` for no limit."""

    name = "number|none"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value).replace("_", "").replace(",", "")
        if text.lower() == NONE:
            return NONE
        if not text.isascii() or not text.isdigit():
            self.fail(f"{value!r} is neither a whole number nor `none`", param, ctx)
        return int(text)


def org_argument(work: WorkT) -> WorkT:
    """The argument `ORG_ID`; one's own organisation where it is left out."""
    return click.argument("org_id", type=click.UUID, required=False)(work)


def given(options: Mapping[str, object]) -> dict[str, object]:
    """The options that were given, with null for `none`."""
    said = {name: value for name, value in options.items() if value is not None and value != ()}
    return {name: None if value == NONE else value for name, value in said.items()}


def body(options: Mapping[str, object], kind: type[BodyT]) -> BodyT:
    """The body of a request out of the options that were given.

    Raises:
        click.UsageError: they are none.
    """
    try:
        return msgspec.convert(given(options), kind)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None


def changes(options: Mapping[str, object], kind: type[BodyT]) -> BodyT:
    """The same of a change, which is to change something.

    Raises:
        click.UsageError: no option was given, or they are no such body.
    """
    if not given(options):
        raise click.UsageError("say what to change: give at least one option")
    return body(options, kind)
