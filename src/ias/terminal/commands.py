"""The options that every command has, and what the command gets of them: a `Terminal`."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NoReturn, ParamSpec

import msgspec
import rich_click as click

from ias.client import Client, Refused, Tokens, Unreachable
from ias.terminal import profiles
from ias.terminal.exits import Exit, of_status
from ias.terminal.output import Format, say, show
from ias.terminal.profiles import Profile
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


class Terminal:
    """One run of one command: where it speaks to and as whom, how it prints and asks."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.name = said.profile or settings().profile
        self._profile = profiles.load(self.name)
        self._client: Client | None = None

    @property
    def api_url(self) -> str:
        """Where the API is."""
        kept = self._profile.api_url if self._profile else ""
        return self.said.api_url or settings().api_url or kept or LOCAL

    @property
    def client(self) -> Client:
        """The API, as whoever logged in."""
        if self._client is None:
            given = settings().access_token.get_secret_value()
            kept = self._profile.tokens if self._profile else None
            tokens = Tokens(given) if given else kept
            if tokens is None:
                end(f"you are not logged in to {self.api_url}; run `ias-admin login`", Exit.AUTHENTICATION)
            self._client = Client(self.api_url, tokens, self._renewed)
        return self._client

    def anonymous(self) -> Client:
        """The API, as nobody."""
        return Client(self.api_url, None)

    def keep(self, email: str, tokens: Tokens) -> None:
        """Remember a session."""
        profiles.save(self.name, Profile(self.api_url, email, tokens))

    def show(self, things: object, *columns: str) -> None:
        """Print what was answered; `columns` are those of the table."""
        show(things, Format(self.said.output), columns)

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
        """A line from the person, or from standard input."""
        if not sys.stdin.isatty():
            return sys.stdin.readline().rstrip("\r\n")
        if self.said.no_input:
            end(f"{what} is missing, and --no-input says not to ask", Exit.USAGE)
        return str(click.prompt(what, hide_input=hidden, err=True))

    def would(self, method: str, path: str, body: object = None) -> bool:
        """Whether this run only tells what it would do; tells it."""
        if self.said.dry_run:
            sent = "" if body is None else " " + msgspec.json.encode(body).decode()
            say(f"would send {method} {path}{sent}")
        return self.said.dry_run

    def _renewed(self, tokens: Tokens) -> None:
        self.keep(self._profile.email if self._profile else "", tokens)


def command(work: Callable[Concatenate[Terminal, OptionsP], None]) -> Callable[OptionsP, None]:
    """A command: gets a Terminal first, and ends with the exit code of what went wrong."""

    @click.option("-o", "--output", type=click.Choice([*Format]), default=Format.TABLE, help="How to print.")
    @click.option("--profile", default="", help="Which login to use; IAS_PROFILE, or `default`.")
    @click.option("--api-url", default="", help="Where the API is; IAS_API_URL, or the profile's.")
    @click.option("--yes", is_flag=True, help="Do not ask whether one is sure.")
    @click.option("--no-input", is_flag=True, help="Ask nothing; what is missing is an error.")
    @click.option("--dry-run", is_flag=True, help="Tell what would be sent, and change nothing.")
    @wraps(work)
    def run(*args: OptionsP.args, **options: OptionsP.kwargs) -> None:
        said = msgspec.convert({name: options.pop(name) for name in Said.__struct_fields__}, Said)
        with_exit_code(lambda: work(Terminal(said), *args, **options))

    return run


def with_exit_code(work: Callable[[], None]) -> None:
    """Do it; a failure is told on stderr and becomes the exit code.

    Raises:
        SystemExit: it failed.
    """
    try:
        work()
    except Refused as refused:
        problem = refused.problem
        faults = "".join(f"\n  {fault.pointer or '/'}: {fault.detail}" for fault in problem.errors)
        wait = f" (try again in {refused.retry_after} s)" if refused.retry_after else ""
        seen = f" [request {problem.request_id}]" if problem.request_id else ""
        end(f"{problem.detail}{wait}{faults}{seen}", of_status(problem.status))
    except Unreachable as error:
        end(str(error), Exit.UNREACHABLE)


def end(message: str, code: Exit) -> NoReturn:
    """Tell what is wrong, and end.

    Raises:
        SystemExit: always.
    """
    say(f"error: {message}")
    raise SystemExit(int(code))
