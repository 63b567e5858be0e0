"""A mirror: what this machine has of a repository. It may be lost at any time, and is fetched again."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote
from uuid import UUID

import msgspec

from ias.contract.addresses import Network
from ias.gitops.repositories.credentials import Credential
from ias.gitops.repositories.domain import FOLDER, Address, Entry, Transport, entries
from ias.gitops.repositories.git import MEBIBYTE, Git, GitFailed, Limits, prepared
from ias.gitops.repositories.opening import SECRETS, opened

MOST_KEPT: Final = 4
"""So many times the size of one fetch a mirror may grow, until it is fetched anew."""
MOST_FILES: Final = 20_000
"""So many files are listed of a commit."""
COMMITS_ALONE: Final = "--filter=tree:0"
"""What a history is fetched with; hosts that know no filters send all of it, as far as the limits let them."""
LEFT_S: Final = 3600.0
"""What holds a key for longer than that was left by a worker that was killed."""
_REF: Final = "refs/ias/head"
_HISTORY: Final = "history"
_LONGEST: Final = 300
_SHOWN: Final = 12


class Commit(msgspec.Struct, frozen=True):
    """A commit, and who is said to have made it."""

    sha: str
    author: str
    subject: str


class Mirror(msgspec.Struct, frozen=True):
    """A repository's branch, and where it is kept here."""

    id: UUID
    address: Address
    branch: str
    credential: Credential
    root: Path
    limits: Limits = Limits()
    ca_file: str = ""
    allowed: tuple[Network, ...] = ()

    @property
    def git(self) -> Git:
        """Git without a way out."""
        return Git(self.root / str(self.id), self.limits)

    async def fetch(self) -> Commit:
        """Fetch the branch: the newest commit alone, and later what came since.

        Raises:
            GitFailed: it cannot be had; says why.
        """
        git = self.git
        if _size(git.folder) > MOST_KEPT * self.limits.file_bytes:
            await _removed(git.folder)
        await prepared(git.folder, self.limits)
        known = await git.ends_well("rev-parse", "--quiet", "--verify", _REF)
        await self._fetched(git, *([] if known else ["--depth=1"]))
        said = await self._read("log", "-1", "--format=%H%x00%an <%ae>%x00%s", _REF, "--")
        sha, author, subject = said.decode("utf-8", "replace").rstrip("\n").split("\0", 2)
        return Commit(sha, _plain(author), _plain(subject))

    async def policies(self, commit: str) -> dict[str, Entry]:
        """The policy files of a commit, by the names of their folders.

        Raises:
            GitFailed: they cannot be listed, or are too many.
        """
        listing = await self._read("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", f"{FOLDER}/")
        if listing.count(b"\0") > MOST_FILES:
            raise GitFailed(f"it has more than {MOST_FILES:,} files in {FOLDER}/; split it into several repositories")
        return entries(listing)

    async def contents(self, blobs: Sequence[str]) -> dict[str, bytes]:
        """What is in these files.

        Raises:
            GitFailed: they cannot be read.
        """
        if not blobs:
            return {}
        out = await self._read("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs).encode())
        found, at = {}, 0
        for blob in blobs:
            end = out.index(b"\n", at)
            about = out[at:end].split()
            if len(about) != 3:  # noqa: PLR2004 - its name, kind and size
                await _removed(self.git.folder)
                raise GitFailed(f"{blob} is missing from the mirror, which is fetched anew")
            size = int(about[2])
            found[blob] = out[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return found

    async def follows(self, before: str, after: str) -> bool:
        """Whether a commit has another one in its history; more of that is fetched where it is needed to tell.

        Raises:
            GitFailed: it cannot be fetched.
        """
        if before == after or await _is_ancestor(self.git, before, after):
            return True
        if not (self.git.folder / "shallow").exists():
            return False
        return await _is_ancestor(await self._history(after), before, after)

    async def _history(self, commit: str) -> Git:
        """Git on the branch's commits up to this one, without what is in them, where the host can leave that out."""
        history = Git(self.git.folder / _HISTORY, self.limits)
        if not await history.ends_well("cat-file", "-e", commit):
            await prepared(history.folder, self.limits)
            await self._fetched(history, COMMITS_ALONE)
        return history

    async def _read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What git prints of what is here; a mirror that cannot be read is removed, and fetched anew the next time."""
        try:
            return await self.git.run(*arguments, stdin=stdin)
        except GitFailed:
            await _removed(self.git.folder)
            raise

    async def _fetched(self, into: Git, *options: str) -> None:
        quiet = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance")
        refs = f"+refs/heads/{self.branch}:{_REF}"
        await asyncio.to_thread(_swept, into.folder)
        async with opened(self.address, self.credential, self.allowed, self.ca_file, self.root) as environment:
            git = msgspec.structs.replace(into, environment=environment)
            try:
                await git.run("fetch", *quiet, "--update-shallow", *options, "--", _url(self.address), refs)
            except GitFailed as failure:
                said = _too_large(git.folder, self.limits) or str(failure)
                if not await into.ends_well("rev-list", "--objects", "--quiet", "--max-count=1", "--all"):
                    await _removed(into.folder)
                raise GitFailed(said) from None


def _url(at: Address) -> str:
    """As git takes it: what lies in a folder too by a URL, as it cannot leave anything out of what it fetches else."""
    return f"file://{quote(at.url)}" if at.transport is Transport.LOCAL else at.url


def _plain(text: str) -> str:
    """What strangers wrote, so that it moves no cursor and turns no writing around."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST])


async def _removed(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _is_ancestor(git: Git, before: str, after: str) -> bool:
    return await git.ends_well("merge-base", "--is-ancestor", before, after)


def short(commit: str) -> str:
    """A commit as people write it."""
    return commit[:_SHOWN]


async def sweep(root: Path, known: Callable[[], Awaitable[Collection[UUID]]]) -> None:
    """Remove the mirrors of repositories that are known no more, and keys that were left by workers that were killed.

    `known` is asked once it is clear which mirrors there are: one that is made meanwhile is left alone.
    """
    for folder in await asyncio.to_thread(_left, root):
        await _removed(folder)
    there = await asyncio.to_thread(_mirrors, root)
    kept = set(await known()) if there else set()
    for repository_id in there - kept:
        await asyncio.to_thread(shutil.rmtree, root / str(repository_id), ignore_errors=True)


def _left(root: Path) -> list[Path]:
    found = []
    for folder in root.glob(f"{SECRETS}*"):
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < time.time() - LEFT_S:
                found.append(folder)
    return found


def _mirrors(root: Path) -> set[UUID]:
    found = set()
    for folder in root.glob("*-*-*-*-*"):
        with suppress(ValueError):
            found.add(UUID(folder.name))
    return found


def _swept(folder: Path) -> None:
    """Remove what a git left that was killed: nobody else is at a mirror while one looks at its repository."""
    for file in (*folder.rglob("*.lock"), *folder.glob("objects/pack/tmp_*")):
        file.unlink(missing_ok=True)


def _too_large(folder: Path, limits: Limits) -> str:
    """Whether what was begun and not finished, and is removed here, had come to its limit; empty where it had not."""
    sizes = []
    for file in folder.glob("objects/pack/tmp_*"):
        sizes.append(file.stat().st_size)
        file.unlink()
    at_limit = any(size >= limits.file_bytes // 512 * 512 for size in sizes)
    return f"the repository is larger than {limits.file_bytes // MEBIBYTE} MiB" if at_limit else ""


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0


__all__ = ["Commit", "GitFailed", "Mirror", "short", "sweep"]
