"""The options that every command has, and what the command gets of them: a `Terminal`."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

import msgspec
import rich_click as click

from ias.client import Client, Exchange, Query, Tokens
from ias.terminal import profiles
from ias.terminal.exits import Exit, end, told
from ias.terminal.output import Format, line, named, say, show
from ias.terminal.profiles import Profile
from ias.terminal.progress import counted
from ias.terminal.settings import settings

LOCAL = "http://127.0.0.1:8081"

OptionsP = ParamSpec("OptionsP")


class Said(msgspec.Struct, frozen=True):
    """What the options say that every command has."""

    output: str
    profile: str
    api_url: str
    yes: bool
    no_input: bool
    dry_run: bool


class Own(msgspec.Struct, frozen=True):
    """The organisation of whoever is logged in; None for system admins."""

    org_id: UUID | None


class Terminal:
    """One run of one command: where it speaks to and as whom, how it prints and asks."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.name = said.profile or settings().profile
        self.profile = profiles.load(self.name)
        self._client: Client | None = None

    @property
    def api_url(self) -> str:
        """Where the API is."""
        kept = self.profile.api_url if self.profile else ""
        return self.said.api_url or settings().api_url or kept or LOCAL

    @property
    def api_url_from(self) -> str:
        """Who said so."""
        if self.said.api_url:
            return "--api-url"
        if settings().api_url:
            return "IAS_API_URL"
        return f"profile {self.name}" if self.profile else "where `make up` has it; nobody said another"

    @property
    def tokens(self) -> Tokens | None:
        """The session to speak with, None where nobody is logged in there."""
        kept = self.profile.tokens_for(self.api_url) if self.profile else None
        return Tokens(self.given) if self.given else kept

    @property
    def given(self) -> str:
        """The access token of the environment, which is used in place of the profile's session; empty without one."""
        return settings().access_token.get_secret_value()

    @property
    def to_log_in(self) -> str:
        """What to do where the session is not taken."""
        name = "" if self.name == profiles.DEFAULT else f" --profile {self.name}"
        where = f" --api-url {self.said.api_url}" if self.said.api_url else ""
        before = "set IAS_ACCESS_TOKEN to a token that holds, or unset it and " if self.given else ""
        return f"{before}run `ias-admin login{name}{where}`"

    @property
    def client(self) -> Client:
        """The API, as whoever logged in."""
        if self._client is None:
            if self.tokens is None:
                end(f"you are not logged in to {self.api_url}; {self.to_log_in}", Exit.AUTHENTICATION)
            self._client = Client(self.api_url, self.tokens, self._renewal)
        return self._client

    def anonymous(self) -> Client:
        """The API, as nobody."""
        return Client(self.api_url, None)

    def org(self, given: UUID | None) -> UUID:
        """The organisation that is meant: one's own where none was given.

        Raises:
            click.UsageError: one has none.
        """
        own = given or self.client.get("/me", Own).org_id
        if own is None:
            raise click.UsageError("you belong to no organisation: say which one, by its id")
        return own

    def keep(self, email: str, tokens: Tokens) -> None:
        """Remember a session."""
        profiles.save(self.name, Profile(self.api_url, email, tokens))

    def show(self, things: object, *columns: str) -> None:
        """Print what was answered; `columns` are those of the table."""
        show(things, Format(self.said.output), columns)

    def show_items(self, whole: object, items: Iterable[object], *columns: str) -> None:
        """Print an answer that holds a list: whole as JSON and YAML, its items alone as a table and as CSV."""
        entire = self.said.output in {Format.JSON, Format.YAML}
        self.show(whole if entire else items, *columns)

    def show_parts(self, whole: object, parts: Mapping[str, Sequence[object]], *columns: str) -> None:
        """Print lists that have names: a table for each, or all in one as CSV; the whole as JSON and YAML."""
        if self.said.output in {Format.JSON, Format.YAML}:
            self.show(whole)
        elif self.said.output == Format.CSV:
            self.show(named(parts), "name", *columns)
        else:
            for name, things in parts.items():
                line(name)
                self.show(things, *columns)

    def show_listed(self, path: str, kind: type[object], query: Query | None, *columns: str) -> None:
        """Print every item of a list, page after page."""
        things = list(counted(self.client.listed(path, kind, query), f"reading {path}"))
        if things or self.said.output != Format.TABLE or not sys.stdout.isatty():
            self.show(things, *columns)
        else:
            say("there are none")

    def sure(self, what: str) -> None:
        """Go on only where the person is sure.

        Raises:
            SystemExit: they are not, or there is nobody to ask.
        """
        if self.said.yes or self.said.dry_run:
            return
        if self.said.no_input or not sys.stdin.isatty():
            end(f"{what}: say --yes to do it without being asked", Exit.USAGE)
        if not click.confirm(f"{what}?", err=True):
            end("nothing was changed", Exit.ERROR)

    def ask(self, what: str, *, hidden: bool = False) -> str:
        """A line from the person, or from standard input.

        Raises:
            SystemExit: there is none.
        """
        if sys.stdin.isatty() and not self.said.no_input:
            return str(click.prompt(what, hide_input=hidden, err=True))
        line = "" if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        if not line:
            end(f"{what} is missing: give it on standard input, a line of its own", Exit.USAGE)
        return line

    def would(self, method: str, path: str, body: object = None) -> bool:
        """Whether this run only tells what it would do; tells it."""
        if self.said.dry_run:
            sent = "" if body is None else " " + msgspec.json.encode(body).decode()
            say(f"would send {method} {path}{sent}")
        return self.said.dry_run

    def _renewal(self, old: Tokens, exchange: Exchange) -> Tokens | None:
        return profiles.renew(self.name, self.api_url, old, exchange) if old.refresh_token else None


def command(work: Callable[Concatenate[Terminal, OptionsP], None]) -> Callable[OptionsP, None]:
    """A command: gets a Terminal first, and ends with the exit code of what went wrong."""

    @click.option(
        "-o",
        "--output",
        type=click.Choice([form.value for form in Format]),
        default=Format.TABLE.value,
        help="How to print.",
    )
    @click.option("--profile", default="", help="Which login to use; IAS_PROFILE, or `default`.")
    @click.option("--api-url", default="", help="Where the API is; IAS_API_URL, or the profile's.")
    @click.option("--yes", is_flag=True, help="Do not ask whether one is sure.")
    @click.option("--no-input", is_flag=True, help="Ask nothing; what is missing is an error.")
    @click.option("--dry-run", is_flag=True, help="Tell what would be sent, and change nothing.")
    @wraps(work)
    def run(*args: OptionsP.args, **options: OptionsP.kwargs) -> None:
        said = msgspec.convert({name: options.pop(name) for name in Said.__struct_fields__}, Said)
        with told():
            terminal = Terminal(said)
            with told(terminal.to_log_in):
                work(terminal, *args, **options)

    return run
