"""What forms send, as actions take it."""

from datetime import UTC, datetime
from enum import StrEnum

import msgspec
import pytest

from ias.conditions import Changed
from ias.console.forms import MOST_FIELDS, Form, parsed
from ias.console.rendering import environment
from ias.problems import BadRequest, FieldError, NotFound, Problem


class Role(StrEnum):
    USER = "user"


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    count: int | None = None
    role: Role = Role.USER
    at: datetime | None = None
    names: list[str] | None = None


def test_fields_are_made_into_what_an_action_takes_and_empty_ones_are_left_out() -> None:
    form = parsed(b"name=+Ada%20%C3%84+&count=12&role=user&at=&csrf=x&further=y")
    assert form.made(Asked) == Asked("Ada Ä", 12)
    assert form.made(Asked, names=["a"], count=None) == Asked("Ada Ä", names=["a"])


@pytest.mark.parametrize(
    ("body", "name"), [(b"name=x&count=many", "count"), (b"name=x&role=king", "role"), (b"count=1", "name")]
)
def test_a_field_that_is_not_what_it_has_to_be_is_named(body: bytes, name: str) -> None:
    form = parsed(body)
    with pytest.raises(BadRequest) as refused:
        form.made(Asked)
    again = form.refused(refused.value)
    assert again.fault(name)
    assert again.said == ""
    assert again.status == 400
    assert again.text("name") == form.text("name")
    assert again.strays(name) == ()
    assert again.strays() != ()


def test_what_is_said_of_the_whole_is_not_said_of_a_field() -> None:
    form = Form().refused(BadRequest("come back tomorrow"))
    assert (form.said, form.fault("name"), form.strays()) == ("come back tomorrow", "", ())


def test_a_fault_within_a_list_is_its_fields() -> None:
    problem = Problem("models: no such", (FieldError("/models/0", "no such"), FieldError("/models/1", "nor that")))
    assert Form().refused(problem).fault("models") == "no such; nor that"


def test_what_no_change_of_a_form_mends_is_raised() -> None:
    with pytest.raises(NotFound):
        Form().refused(NotFound("gone"))


def test_what_was_changed_meanwhile_is_not_offered_to_be_written_over() -> None:
    with pytest.raises(Changed):
        Form().refused(Changed("read it again"))


@pytest.mark.parametrize(("body", "ticked"), [(b"", ["b"]), (b"m=&m=a", ["a"]), (b"m=", [])])
def test_what_was_unticked_stays_so_when_the_form_is_shown_again(body: bytes, ticked: list[str]) -> None:
    form = parsed(body).refused(BadRequest("mend something else"))
    ui = environment().get_template("templates/ui.html").make_module()
    shown = str(ui.checks(form, "m", "Models", ["a", "b"], ["b"]))  # type: ignore[attr-defined]  # a macro of the template
    assert [each for each in ("a", "b") if f'value="{each}" checked' in shown] == ticked


def test_a_password_keeps_its_blanks_and_boxes_are_all_told() -> None:
    form = parsed(b"password=+a+&box=1&box=2&box=&lines=a%0D%0Ab")
    assert form.secret("password") == " a "
    assert form.every("box") == ["1", "2"]
    assert form.has("box", "2")
    assert not form.has("box", "3")
    assert form.text("lines") == "a\nb"
    assert (form.text("none", "else"), form.secret("none"), form.every("none")) == ("else", "", [])


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T12:30", datetime(2030, 1, 31, 12, 30, tzinfo=UTC)),
        ("2030-01-31T12:30+00:00", datetime(2030, 1, 31, 12, 30, tzinfo=UTC)),
        ("", None),
    ],
)
def test_a_date_without_a_zone_is_utc(sent: str, moment: datetime | None) -> None:
    assert Form({"at": [sent]}).moment("at") == moment


def test_what_is_no_date_is_named() -> None:
    with pytest.raises(BadRequest, match="at: write a date"):
        Form({"at": ["tomorrow"]}).moment("at")


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff", b"&".join(b"a=1" for _ in range(MOST_FIELDS + 1))])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        parsed(body)


def test_only_structs_are_made() -> None:
    with pytest.raises(TypeError):
        Form().made(int)


def test_fields_that_belong_together_by_their_place_keep_blank_values() -> None:
    form = parsed(b"asked=q1&asked=q2&answered=%0A&answered=B")
    assert list(zip(form.sent("asked"), form.sent("answered"), strict=True)) == [("q1", "\n"), ("q2", "B")]
    assert form.every("answered") == ["B"]
    assert form.sent("none") == []
