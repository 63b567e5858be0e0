"""Asking `ias doctor` at a place."""

import asyncio
import subprocess
import time
from dataclasses import dataclass

import msgspec

from tests.integration.worker.place import Place
from tests.product.processes import BIN

SOON_S = 40.0
"""A few seconds, on a machine that is slow and busy."""


@dataclass
class Answer:
    """What the doctor said."""

    code: int
    text: str
    took_s: float

    @property
    def findings(self) -> dict[tuple[str, str], dict[str, object]]:
        """By subject and fact."""
        return {(f["subject"], f["fact"]): f for f in msgspec.json.decode(self.text)["findings"]}

    @property
    def wrong(self) -> set[tuple[str, str]]:
        """What is not well."""
        return {place for place, finding in self.findings.items() if not finding["well"]}

    def said(self, subject: str, fact: str) -> str:
        """A finding's sentence; each that is not well says what to do."""
        finding = self.findings[subject, fact]
        assert bool(finding["remedy"]) is not finding["well"]
        return str(finding["said"])

    @property
    def figures(self) -> dict[tuple[str, str], float]:
        """By metric and label."""
        return {
            (figure["metric"], figure["label"]): figure["value"]
            for finding in self.findings.values()
            for figure in finding["figures"]
        }


async def command(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `ias …`."""
    argv = [str(BIN / "ias"), *arguments]
    return await asyncio.to_thread(subprocess.run, argv, env=env, capture_output=True, text=True, timeout=120)


async def ask(env: dict[str, str]) -> Answer:
    """`ias doctor --json`."""
    began = time.monotonic()
    done = await command(env, "doctor", "--json")
    assert not done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, time.monotonic() - began)


async def doctor(place: Place, **settings: str) -> Answer:
    """At a place."""
    return await ask(place.environment() | settings)
