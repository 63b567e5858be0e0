"""Every block of the tutorials, on `make up` from a fresh checkout; `nox -s tutorials` runs it."""

from pathlib import Path

import pytest

from tests.e2e import blocks
from tests.e2e.test_make_up import CHECKOUT, Stack, at_home, stack

__all__ = ["stack"]

PAGES = ("developer", "org-admin", "system-admin")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_tutorial_does_what_it_says(stack: Stack, tmp_path: Path, page: str) -> None:
    assert stack.first.returncode == 0, stack.first.stderr
    commands = blocks.read(CHECKOUT / f"docs/tutorials/{page}.md")
    for block, printed in zip(
        commands, blocks.run(commands, stack.checkout, at_home(stack.checkout, tmp_path)), strict=True
    ):
        assert not blocks.missing(block, printed), f"{block.text}\nprints\n{printed}"
