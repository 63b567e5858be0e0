"""Puts the migrations into a wheel, and the gateway's hot modules compiled with mypyc where IAS_COMPILE says so.

`IAS_COMPILE=1 uv build --wheel`, or `python hatch_build.py FOLDER`: `FOLDER/src` then goes onto PYTHONPATH.
Compiling needs a C compiler and Python's headers. What is not compiled runs as it is written: that is the default.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
SETTING = "IAS_COMPILE"
PACKAGES = ("src/ias", "src/ias_gateway")
_OF_THE_GATEWAY = (
    *("account", "admission", "arrival", "asked", "calls", "charge", "choices", "clock", "completions"),
    *(f"bodies/{name}" for name in ("body", "chat", "conversation", "endpoints", "metered", "reports", "strict")),
    *("connection", "dispatch", "door", "early", "exchange", "fiber", "head", "kept", "lead", "ledger", "live", "log"),
    *("outlet", "ratios", "redis", "repetition", "reply", "room", "routes", "routing", "sentinel", "series", "served"),
    *("server", "settled", "shard", "shards", "shedding", "sse", "upstream", "work"),
)
MODULES = (
    *(f"ias/contract/{name}" for name in ("admitted", "asks", "told")),
    *(f"ias_gateway/{name}" for name in _OF_THE_GATEWAY),
)
"""What a request passes through, less what defines Structs: mypyc keeps no annotations that msgspec could read. Where a
class is compiled, so are those made of it (a shard's connection of Redis's): its calls of its own methods would not
find those that replace them."""
_FLAGS = ("-fvisibility=hidden", "-fno-plt")
"""Nobody else calls the functions of these modules: so they call one another directly, and take in what is short."""
_BUILD = """
from mypyc.build import mypycify
from setuptools import setup
extensions = mypycify([{sources}], opt_level="3", group_name="ias_gateway")
for extension in extensions:
    extension.extra_compile_args += {flags}
setup(name="ias", packages=[], ext_modules=extensions, script_args=["--quiet", "build_ext", "--inplace"])
"""


class CannotCompile(Exception):
    """There is no compiler, or it failed; the text says which."""


class WheelHook(BuildHookInterface):
    """Puts the migrations and the compiled modules beside the others."""

    def dependencies(self) -> list[str]:
        """What the type checker has to see, where anything is compiled at all."""
        return [*self.metadata.core.dependencies, "mypy>=1.18", "setuptools"] if _asked() else []

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Add the migrations, which a checkout has beside its sources; compile, where that is asked for."""
        if version == "editable":
            return
        build_data["force_include"] = {str(ROOT / "migrations"): "ias/migrations"}
        if not _asked():
            return
        sources = compiled(ROOT / ".cache" / "wheel") / "src"
        build_data["pure_python"], build_data["infer_tag"] = False, True
        build_data["force_include"] |= {str(made): str(made.relative_to(sources)) for made in _made(sources)}


def compiled(folder: Path) -> Path:
    """The folder, filled; what is there already is kept where it is of these sources.

    Raises:
        CannotCompile: there is no compiler, or it failed.
    """
    stamp, now = folder / "stamp", _stamp()
    if stamp.is_file() and stamp.read_text() == now:
        return folder
    _can_compile()
    shutil.rmtree(folder, ignore_errors=True)
    for package in PACKAGES:
        leave = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", folder)
    sources = ", ".join(repr(f"{module}.py") for module in MODULES)
    argv = (sys.executable, "-c", _BUILD.format(sources=sources, flags=list(_FLAGS)))
    done = subprocess.run(argv, cwd=folder / "src", capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCompile(f"mypyc failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    shutil.rmtree(folder / "src" / "build")
    stamp.write_text(now)
    return folder


def _asked() -> bool:
    return os.environ.get(SETTING, "") not in {"", "0"}


def _can_compile() -> None:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        raise CannotCompile(f"there is no C compiler ({compiler})")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise CannotCompile("Python's headers are not installed")
    for module in ("mypyc", "setuptools"):
        if find_spec(module) is None:
            raise CannotCompile(f"{module} is not installed")


def _stamp() -> str:
    """Of all that decides what comes out."""
    digest = hashlib.sha256(f"{sys.version} {version('mypy')} {MODULES} {_FLAGS}".encode())
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and path.suffix not in {".pyc", ".so"}:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _made(sources: Path) -> list[Path]:
    return sorted(sources.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))


if __name__ == "__main__":
    try:
        print(compiled(Path(sys.argv[1]).resolve()))  # noqa: T201 - its answer
    except CannotCompile as error:
        sys.exit(str(error))
