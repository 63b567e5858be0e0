"""A mirror: what this machine has of a repository. It may be lost at any time, and is fetched again."""

import asyncio
import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from ias.gitops.repositories.domain import FOLDER, Address, Entry, Transport, entries
from ias.gitops.repositories.git import MEBIBYTE, Git, GitFailed, Limits, prepared

MOST_KEPT: Final = 4
"""So many times the size of one fetch a mirror may grow, until it is fetched anew."""
MOST_FILES: Final = 20_000
"""So many files are listed of a commit."""
_REF: Final = "refs/ias/head"
_SHOWN: Final = 12


class Credential(msgspec.Struct, frozen=True):
    """What opens a repository: a token for https, or a private key and its host's public ones for ssh."""

    token: str = ""
    ssh_key: str = ""
    known_hosts: str = ""


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
            await self._removed()
        await prepared(git.folder, self.limits)
        known = await git.ends_well("rev-parse", "--quiet", "--verify", _REF)
        await self._fetched(*([] if known else ["--depth=1"]))
        said = await self._read("log", "-1", "--format=%H%x00%an <%ae>%x00%s", _REF, "--")
        sha, author, subject = said.decode("utf-8", "replace").rstrip("\n").split("\0", 2)
        return Commit(sha, author[:300], subject[:300])

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
                await self._removed()
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
        if before == after or await self._is_ancestor(before, after):
            return True
        if not (self.git.folder / "shallow").exists():
            return False
        await self._fetched("--unshallow")
        return await self._is_ancestor(before, after)

    async def _read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What git prints of what is here; a mirror that cannot be read is removed, and fetched anew the next time."""
        try:
            return await self.git.run(*arguments, stdin=stdin)
        except GitFailed:
            await self._removed()
            raise

    async def _removed(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.git.folder, ignore_errors=True)

    async def _is_ancestor(self, before: str, after: str) -> bool:
        return await self.git.ends_well("merge-base", "--is-ancestor", before, after)

    async def _fetched(self, *options: str) -> None:
        quiet = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance")
        refs = f"+refs/heads/{self.branch}:{_REF}"
        await asyncio.to_thread(_swept, self.git.folder)
        async with self._opened() as environment:
            git = Git(self.git.folder, self.limits, environment)
            try:
                await git.run("fetch", *quiet, "--update-shallow", *options, "--", self.address.url, refs)
            except GitFailed as failure:
                said = _too_large(git.folder, self.limits) or str(failure)
                if not await self.git.ends_well("rev-list", "--objects", "--quiet", "--max-count=1", "--all"):
                    await self._removed()
                raise GitFailed(said) from None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[dict[str, str]]:
        """What lets git reach the repository: in its environment, where no other user sees it."""
        allowed = {"GIT_ALLOW_PROTOCOL": self.address.transport.value}
        match self.address.transport:
            case Transport.LOCAL:
                yield allowed
            case Transport.HTTPS:
                yield allowed | self._https()
            case Transport.SSH:
                with tempfile.TemporaryDirectory(prefix="ias-ssh-") as folder:
                    yield allowed | {"GIT_SSH_COMMAND": self._ssh(Path(folder))}

    def _https(self) -> dict[str, str]:
        environment = {"GIT_SSL_CAINFO": self.ca_file} if self.ca_file else {}
        if self.credential.token:
            basic = b64encode(f"x-access-token:{self.credential.token}".encode()).decode()
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "http.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            }
        return environment

    def _ssh(self, folder: Path) -> str:
        key, hosts = folder / "key", folder / "known_hosts"
        key.touch(mode=0o600)
        key.write_text(self.credential.ssh_key.strip() + "\n")
        hosts.write_text(self.credential.known_hosts.strip() + "\n")
        options = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "ForwardAgent": "no",
            "PermitLocalCommand": "no",
            "ConnectTimeout": "10",
        }
        said = " ".join(f"-o {name}={value}" for name, value in options.items())
        return f"ssh -F /dev/null -i {key} {said}"


def short(commit: str) -> str:
    """A commit as people write it."""
    return commit[:_SHOWN]


async def sweep(root: Path, known: Callable[[], Awaitable[Collection[UUID]]]) -> None:
    """Remove the mirrors of repositories that are known no more.

    `known` is asked once it is clear which mirrors there are: one that is made meanwhile is left alone.
    """
    there = await asyncio.to_thread(_mirrors, root)
    kept = set(await known()) if there else set()
    for repository_id in there - kept:
        await asyncio.to_thread(shutil.rmtree, root / str(repository_id), ignore_errors=True)


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


__all__ = ["Commit", "Credential", "GitFailed", "Mirror", "short", "sweep"]
