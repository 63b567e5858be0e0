"""What several commands take on the command line: moments, months, amounts, organisations, bodies of requests."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import ParamSpec, TypeVar

import msgspec
import rich_click as click

BodyT = TypeVar("BodyT")
OptionsP = ParamSpec("OptionsP")


class Unlimited(Enum):
    """What `none` means: null in the body of a request, where nothing said means that nothing changes."""

    NONE = "none"


def moment(text: str) -> datetime:
    """A day or a moment; in UTC where it does not say."""
    said = moment_there(text)
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def moment_there(text: str) -> datetime:
    """The same where a time zone is asked for: without one where it does not say, for the API knows which is meant."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no moment; write 2026-01-31 or 2026-01-31T13:00:00Z") from None


def month(text: str) -> str:
    """A month such as 2026-01, as the API writes it: 202601."""
    try:
        return f"{datetime.strptime(text.replace('-', ''), '%Y%m').replace(tzinfo=UTC):%Y%m}"
    except ValueError:
        raise click.BadParameter(f"{text!r} is no month; write 2026-01") from None


def amount(text: str) -> int | Unlimited:
    """A whole number, or `none` for no limit; `1_000_000` is a million."""
    if text.lower() == Unlimited.NONE.value:
        return Unlimited.NONE
    digits = text.replace("_", "")
    if not (digits.isascii() and digits.isdigit()):
        raise click.BadParameter(f"{text!r} is neither a whole number nor `none`")
    return int(digits)


def org_argument(work: Callable[OptionsP, None]) -> Callable[OptionsP, None]:
    """The argument `ORG_ID`; one's own organisation where it is left out."""
    return click.argument("org_id", type=click.UUID, required=False)(work)


def given(options: Mapping[str, object]) -> dict[str, object]:
    """The options that were given, with null for `none`."""
    said = {name: value for name, value in options.items() if value is not None and value != ()}
    return {name: None if value is Unlimited.NONE else value for name, value in said.items()}


def body(options: Mapping[str, object], kind: type[BodyT]) -> BodyT:
    """The body of a request out of the options that were given.

    Raises:
        click.UsageError: they are none.
    """
    try:
        return msgspec.convert(given(options), kind)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$.")
        option = f"--{place.rstrip('`').replace('_', '-')}: " if place else ""
        raise click.UsageError(f"{option}{said}") from None


def changes(options: Mapping[str, object], kind: type[BodyT]) -> BodyT:
    """The same of a change, which is to change something.

    Raises:
        click.UsageError: no option was given, or they are no such body.
    """
    if not given(options):
        raise click.UsageError("say what to change: give at least one option")
    return body(options, kind)
