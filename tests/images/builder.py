"""Does what a Dockerfile says, in roots of our own: what `docker build` does, without layers and without an engine."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.images.base import private
from tests.images.dockerfile import Stage, Step, read
from tests.ship.ignored import kept

ROOT = Path(__file__).resolve().parents[2]
STANDING = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}
RUN = """
root=$1 where=$2 line=$3; shift 3
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do mkdir -p "$(dirname "$root$1")"; [ -d "$1" ] && mkdir -p "$root$1" || : >> "$root$1"
  mount --bind "$1" "$root$1"; shift; done
shift
exec chroot "$root" env --ignore-environment --chdir="$where" "$@" /bin/sh -c "$line"
"""


class Failed(RuntimeError):
    """A step failed; the message has the end of what it said."""


class Build:
    """One Dockerfile, built: `image` is its last stage, `root` where its files are."""

    def __init__(self, dockerfile: Path, base: Path, folder: Path) -> None:
        self._base, self._folder = base, folder
        self._told, self._paths = pip_here()
        self.stages = read(dockerfile)
        self.image = self.stages[-1]
        for number, stage in enumerate(self.stages):
            self._make(stage, str(number))
        self.root = self._root(str(len(self.stages) - 1))

    def _root(self, name: str) -> Path:
        return self._folder / name

    def _make(self, stage: Stage, name: str) -> None:
        root = self._root(name)
        root.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(("cp", "-a", "--reflink=auto", str(self._base), str(root)), check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        where, given = "/", {}
        for step in stage.steps:
            if step.verb == "WORKDIR":
                where = step.rest
                (root / where.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.verb == "ARG":
                name, _, default = step.rest.partition("=")
                given[name] = default
            elif step.verb == "COPY":
                self._copy(step, root, where)
            elif step.verb == "RUN":
                self._run(step.rest, root, where, given)

    def _copy(self, step: Step, root: Path, where: str) -> None:
        *sources, target = step.words
        into = root / str(Path(where, target)).lstrip("/")
        if "from" in step.options:
            number = next(n for n, stage in enumerate(self.stages) if stage.name == step.options["from"])
            for source in sources:
                made = self._root(str(number)) / source.lstrip("/")
                subprocess.run(("cp", "-a", "--reflink=auto", str(made), str(into)), check=True)
            return
        for source in sources:
            one = into / Path(source).name if target.endswith("/") else into
            for path in kept(ROOT / source):
                there = one / path.relative_to(ROOT / source) if path != ROOT / source else one
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, there)
                if "chmod" in step.options:
                    there.chmod(int(step.options["chmod"], 8))

    def _run(self, line: str, root: Path, where: str, given: Mapping[str, str]) -> None:
        env = [f"{name}={value}" for name, value in {**STANDING, **self._told, **given}.items()]
        argv = private("sh", "-ec", RUN, "sh", str(root), where, line, *self._paths, "--", *env)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise Failed(f"{line}\n{(done.stdout + done.stderr)[-4000:]}")


def pip_here() -> tuple[dict[str, str], list[str]]:
    """What pip is told on this machine, as its variables, and the folders and files of this machine that they name."""
    said = subprocess.run(("pip", "config", "list"), capture_output=True, text=True).stdout
    told: dict[str, str] = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        told[f"PIP_{name.rpartition('.')[2].upper().replace('-', '_')}"] = value.strip("'\"")
    words = {word for value in told.values() for word in value.split()}
    # An index of files links to what lies beside it.
    named = (Path(word.removeprefix("file://")).parent if word.startswith("file://") else Path(word) for word in words)
    return told, sorted({str(path) for path in named if path.is_absolute() and path.exists()})
