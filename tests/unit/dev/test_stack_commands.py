"""What `ias dev` says where there is nothing yet."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from ias.dev import cli
from ias.dev.state import Folder


@pytest.mark.parametrize("command", [("status",), ("run", "ias", "doctor")])
def test_where_nothing_was_started_one_is_told_how_to(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "FOLDER", Folder(tmp_path / ".ias"))
    ended = CliRunner().invoke(cli.dev, command)
    assert ended.exit_code == 1
    assert ended.stderr == "ias dev: nothing was started here yet: run 'make up'.\n"
