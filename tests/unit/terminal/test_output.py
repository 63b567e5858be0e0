"""What is printed: whole, harmless, and readable by people and by programs."""

import csv
import io
import sys

import msgspec
import pytest
from ruamel.yaml import YAML

from ias.terminal.output import Format, say, show
from ias.terminal.progress import EVERY, counted

EVIL = "a\x1b[2Jb\x07c\u202ed\u200fe\x9bf\u2028g\U000e0001"
"""Clears the screen, rings, turns the writing around, and what terminals take for the beginning of more of it."""


class Thing(msgspec.Struct):
    name: str
    count: int = 0
    amount: str = "0"
    tags: list[str] = []
    none: str | None = None


def printed(capsys: pytest.CaptureFixture[str], things: object, form: Format, *columns: str) -> str:
    show(things, form, columns)
    return capsys.readouterr().out


@pytest.mark.parametrize("form", Format)
def test_nothing_that_moves_the_cursor_or_turns_the_writing_is_printed(
    capsys: pytest.CaptureFixture[str], form: Format
) -> None:
    out = printed(capsys, [Thing(EVIL)], form)
    assert out.replace("\n", "").isprintable()
    assert "\x1b" not in out


@pytest.mark.parametrize("form", [Format.JSON, Format.YAML])
def test_programs_get_every_character_all_the_same(capsys: pytest.CaptureFixture[str], form: Format) -> None:
    out = printed(capsys, Thing(EVIL + "ü€\n😀"), form)
    read = msgspec.json.decode(out) if form is Format.JSON else YAML(typ="safe", pure=True).load(out)
    assert read["name"] == EVIL + "ü€\n😀"


def test_yaml_of_plain_text_stays_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert "name: Ünïcode\n" in printed(capsys, Thing("Ünïcode"), Format.YAML)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(capsys: pytest.CaptureFixture[str], begin: str) -> None:
    out = printed(capsys, [Thing(f"{begin}1+1")], Format.CSV)
    assert next(csv.DictReader(io.StringIO(out)))["name"].startswith("'")


@pytest.mark.parametrize("number", ["-1", "-0.25", "+7", "12.5"])
def test_a_number_stays_one(capsys: pytest.CaptureFixture[str], number: str) -> None:
    out = printed(capsys, [Thing("x", amount=number)], Format.CSV)
    assert next(csv.DictReader(io.StringIO(out)))["amount"] == number


def test_csv_of_nothing_still_names_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, [], Format.CSV, "name", "count") == "name,count\n"


def test_csv_has_commas_quotes_and_lists_in_cells(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, [Thing('a, "b"', tags=["x", "y"])], Format.CSV)
    row = next(csv.DictReader(io.StringIO(out)))
    assert (row["name"], row["tags"], row["none"]) == ('a, "b"', '["x","y"]', "")


def test_a_table_in_a_pipe_is_not_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, [Thing("x" * 300), Thing("y" * 200)], Format.TABLE)
    assert len(out.splitlines()) == 3
    assert "x" * 300 in out
    assert "…" not in out


def test_a_table_has_the_columns_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    head, row = printed(capsys, [Thing("x", 3)], Format.TABLE, "count", "name").splitlines()
    assert head.split() == ["count", "name"]
    assert row.split() == ["3", "x"]


def test_markup_in_data_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[red]x[/red]" in printed(capsys, [Thing("[red]x[/red]")], Format.TABLE)


def test_what_is_said_goes_to_stderr_and_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"no such {EVIL}\n  second line")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("\n  second line\n")
    assert said.err.replace("\n", "").isprintable()


def test_one_thing_without_columns_has_a_line_for_each_of_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, Thing("x", 3), Format.TABLE).splitlines()
    assert [line.split() for line in lines if line.strip()][:2] == [["name", "x"], ["count", "3"]]


def test_progress_is_shown_to_a_person_on_stderr_and_to_nobody_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    things = list(range(3 * EVERY))
    assert list(counted(things, "counting")) == things
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert list(counted(things, "counting")) == things
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "counting" in shown.err
