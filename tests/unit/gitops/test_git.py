"""What git leaves behind is buried, also by a worker that is process 1 of a container and inherits it."""

import asyncio
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ias.gitops.repositories.git import Git, GitFailed, Limits, prepared

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def heir() -> Iterator[None]:
    """This process inherits orphans, as process 1 does."""
    if sys.platform != "linux":
        pytest.skip("only Linux lets a process inherit orphans")
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.usefixtures("heir")
async def test_nobody_that_git_started_stays_unburied_when_it_takes_too_long(tmp_path: Path) -> None:
    folder = tmp_path / "mirror.git"
    await prepared(folder, Limits())
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    slow = "alias.slow=!sleep 600 & sleep 600 & sleep 600"
    with pytest.raises(GitFailed):
        await Git(folder, Limits(seconds=1.0)).run("-c", slow, "slow")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.mark.parametrize("to", ["1", "2"])
async def test_git_that_says_too_much_is_left_at_once_though_nobody_reads_the_rest(tmp_path: Path, to: str) -> None:
    git = Git(tmp_path / "repo.git", Limits(output_bytes=1 << 20))
    await prepared(git.folder, git.limits)
    for _ in range(5):  # asyncio reads ahead, and then no further, in one of two
        with pytest.raises(GitFailed, match="more than 1 MiB to say"):
            async with asyncio.timeout(30):
                await git.run("-c", f"alias.chat=!yes 'a line of some length, again and again' >&{to}", "chat")
