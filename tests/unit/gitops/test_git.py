"""What git leaves behind is buried, also by a worker that is process 1 of a container and inherits it."""

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
