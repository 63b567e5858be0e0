"""A shell of somebody: runs `ias-admin` inside this process, in an environment of its own, and notes what it said."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from ias.cli import ias_admin
from ias.client import SOURCE
from ias.terminal import settings

NO_KEYRING = "keyring.backends.fail.Keyring"


@dataclass
class Shell:
    """An environment: a home folder, an address, perhaps a token."""

    home: Path
    api_url: str
    token: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def profiles(self) -> Path:
        return self.home / "ias" / "profiles.json"

    def env(self) -> dict[str, str | None]:
        """What is set, and what is not whatever the tests were started with."""
        unset = dict.fromkeys((name for name in os.environ if name.startswith(("IAS_", "OPENAI_"))), None)
        told = {
            "XDG_CONFIG_HOME": str(self.home),
            "PYTHON_KEYRING_BACKEND": NO_KEYRING,
            "IAS_API_URL": self.api_url,
            "IAS_ACCESS_TOKEN": self.token,
        }
        return unset | told | self.more

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command to its end."""
        settings.settings.cache_clear()
        try:
            return CliRunner().invoke(ias_admin, arguments, input=stdin, env=self.env(), prog_name="ias-admin")
        finally:
            settings.settings.cache_clear()

    def good(self, *arguments: str, stdin: str = "") -> str:
        """The data that a command prints, which must end well."""
        done = self.run(*arguments, stdin=stdin)
        assert done.exit_code == 0, done.output
        return done.stdout


def token_of(client: httpx.Client) -> str:
    """The access token that somebody speaks with."""
    return client.headers["authorization"].removeprefix("Bearer ")


@contextmanager
def overheard() -> Iterator[list[httpx.Response]]:
    """Every answer that `ias-admin` gets meanwhile, with its request."""
    answers: list[httpx.Response] = []
    send = httpx.Client.send

    def noted(client: httpx.Client, request: httpx.Request, **options: object) -> httpx.Response:
        answer = send(client, request, **options)
        if request.headers.get("x-ias-source") == SOURCE:
            answers.append(answer)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", noted)
        yield answers
