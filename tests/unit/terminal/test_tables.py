"""What people see: within the width of their terminal, and nothing broken that they may want to copy."""

import sys
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.terminal.output import Format, named, show
from ias.terminal.tables import cell, print_many

ID = "01a1fe6c-af34-753f-9da8-7dee4bdadb61"
MOMENT = "2026-11-21T14:04:58.036476Z"


class Thing(msgspec.Struct):
    id: str
    name: str
    created_at: str = MOMENT


class Told(msgspec.Struct):
    token: str
    parts: tuple[dict[str, str], ...] = ({"url": "http://a:1"}, {"url": "http://b:2"})
    forecast: dict[str, object] = msgspec.field(default_factory=lambda: {"ends_on": None, "basis": {"tokens": 3}})


Printed = Callable[..., str]


@pytest.fixture
def seen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    """What a person sees in a terminal of 80 columns."""

    def printed(things: object, *columns: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            patch.setenv("COLUMNS", "80")
            patch.setenv("TERM", "dumb")
            show(things, Format.TABLE, columns)
        return capsys.readouterr().out

    return printed


def test_ids_stay_whole_and_lines_within_the_terminal(seen: Printed) -> None:
    out = seen([Thing(ID, "a team with a name of several words that takes two lines"), Thing(ID, "b")])
    assert out.count(ID) == 2
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[0].split() == ["id", "name", "created", "at"]


def test_things_that_do_not_fit_beside_each_other_are_printed_one_by_one(seen: Printed) -> None:
    first, second = seen([Thing(ID, ID), Thing(ID, ID)], "id", "name", "created_at").rstrip().split("\n\n")
    assert first == second == f"id          {ID}\nname        {ID}\ncreated at  2026-11-21 14:04:58Z"


def test_one_thing_is_never_wrapped(seen: Printed) -> None:
    token = "ias_" + "x" * 200
    assert token in seen(Told(token))


def test_one_thing_is_told_with_what_is_in_it(seen: Printed) -> None:
    lines = [line.split(None, 1) for line in seen(Told("t")).splitlines()]
    assert ["parts", "http://a:1, http://b:2"] in [[name, said.strip()] for name, *rest in lines for said in rest]
    assert ["forecast.basis.tokens", "3"] in lines


def test_one_thing_has_the_columns_that_are_asked_for(seen: Printed) -> None:
    assert [line.split()[0] for line in seen(Thing(ID, "x"), "name", "id").splitlines()] == ["name", "id"]


def test_moments_are_to_the_second_for_people_and_whole_for_programs(
    seen: Printed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "2026-11-21 14:04:58Z" in " ".join(seen([Thing("1", "x")]).split())
    for form in (Format.CSV, Format.JSON, Format.YAML):
        show([Thing("1", "x")], form)
        assert MOMENT in capsys.readouterr().out


def test_lists_in_csv_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    show([Told("t")], Format.CSV, ("token", "parts"))
    assert '[{""url"":""http://a:1""}' in capsys.readouterr().out


def test_in_a_pipe_names_are_one_word_each(capsys: pytest.CaptureFixture[str]) -> None:
    show([Thing(ID, ID)], Format.TABLE)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "name", "created_at"]
    assert row.startswith(f"{ID}  {ID}  2026")


def test_lists_with_names_become_one_with_the_name_in_each_row() -> None:
    assert named({"a": [{"what": "w"}, {"what": "v"}], "b": []}) == [
        {"name": "a", "what": "w"},
        {"name": "a", "what": "v"},
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "yes"), (False, "no"), ([], ""), ([1, "a"], "1, a"), ({"a": 1}, '{"a":1}'), (3, "3")],
)
def test_a_value_is_as_people_read_it(value: object, text: str) -> None:
    assert cell(value) == text


@given(st.lists(st.lists(st.text(max_size=30), min_size=3, max_size=3), max_size=4), st.integers(20, 120))
def test_whatever_is_in_it_a_table_is_printed(cells: list[list[str]], width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        patch.setenv("COLUMNS", str(width))
        print_many([dict(zip("abc", line, strict=True)) for line in cells], ("a", "b", "c"))
