"""Reads the part of the Dockerfile language that ours are written in, and says which image comes out."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Step:
    """One instruction: `RUN`, what follows it, and its `--options`."""

    verb: str
    rest: str
    options: Mapping[str, str]

    @property
    def words(self) -> list[str]:
        """What follows, as a list: JSON where it is written so."""
        if self.rest.startswith("["):
            return msgspec.json.decode(self.rest, type=list[str])
        return shlex.split(self.rest)


@dataclass
class Stage:
    """What lies between two `FROM`."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def all(self, verb: str) -> list[Step]:
        return [step for step in self.steps if step.verb == verb]

    def last(self, verb: str) -> Step:
        return self.all(verb)[-1]

    @property
    def env(self) -> dict[str, str]:
        """What `ENV` says."""
        return dict(word.split("=", 1) for step in self.all("ENV") for word in step.words)

    @property
    def labels(self) -> dict[str, str]:
        return dict(word.split("=", 1) for step in self.all("LABEL") for word in step.words)

    @property
    def healthcheck(self) -> list[str]:
        """The command of it."""
        return msgspec.json.decode(self.last("HEALTHCHECK").rest.removeprefix("CMD").strip(), type=list[str])


def read(path: Path, arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages, the last of which is the image; `arguments` are those of `--build-arg`."""
    stages: list[Stage] = []
    known = dict(arguments or {})
    for step in _steps(path.read_text()):
        if step.verb == "ARG":
            name, _, default = step.rest.partition("=")
            known.setdefault(name, default)
        if step.verb == "FROM":
            base, _, name = _filled(step.rest, known).partition(" AS ")
            stages.append(Stage(base, name))
        elif stages:
            rest = step.rest if step.verb == "RUN" else _filled(step.rest, known)
            stages[-1].steps.append(Step(step.verb, rest, step.options))
    return stages


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: known[found[1]], text)


def _steps(text: str) -> Iterator[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        verb, _, rest = line.strip().partition(" ")
        options = {}
        while (rest := rest.strip()).startswith("--"):
            option, _, rest = rest.partition(" ")
            name, _, value = option.removeprefix("--").partition("=")
            options[name] = value
        if verb:
            yield Step(verb, rest, options)
