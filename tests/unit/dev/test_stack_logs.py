"""Reading the logs of the embedded stack."""

from itertools import islice
from pathlib import Path

import pytest

from ias.dev import logs
from ias.dev.state import Folder, prepare


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / ".ias")
    prepare(folder)
    return folder


def test_the_tail_is_the_last_lines(folder: Folder) -> None:
    folder.log("api").write_text("".join(f"{number}\n" for number in range(100_000)))
    assert logs.tail(folder, "api", 2) == "99998\n99999"


def test_the_tail_of_nothing_says_so(folder: Folder) -> None:
    assert logs.tail(folder, "api") == "(there is no log yet)"
    folder.log("api").touch()
    assert logs.tail(folder, "api") == "(the log is empty)"


def test_following_gives_new_whole_lines_with_the_name_of_their_process(folder: Folder) -> None:
    folder.log("api").write_text("old\n")
    lines = logs.follow(folder)
    assert next(lines) == ""
    with folder.log("api").open("a") as file:
        file.write("one\ntwo\nhal")
    assert list(islice(lines, 2)) == ["api      | one", "api      | two"]
    with folder.log("api").open("a") as file:
        file.write("f\n")
    assert next(line for line in lines if line) == "api      | half"


def test_a_log_that_appears_later_is_followed_from_its_first_line(folder: Folder) -> None:
    lines = logs.follow(folder)
    assert next(lines) == ""
    folder.log("worker").write_text("first\n")
    assert next(line for line in lines if line) == "worker   | first"


def test_a_log_that_was_turned_is_followed_from_its_first_line(folder: Folder) -> None:
    folder.log("api").write_text("old\n")
    lines = logs.follow(folder)
    assert next(lines) == ""
    folder.log("api").replace(folder.log("api").with_suffix(".log.1"))
    folder.log("api").write_text("new\n")
    assert next(line for line in lines if line) == "api      | new"
