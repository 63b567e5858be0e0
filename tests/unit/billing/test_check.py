"""The check's arithmetic."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.billing.check.domain import (
    Fields,
    Months,
    Total,
    Waiting,
    add,
    counted,
    differences,
    lasting,
    set_aside,
    size,
    together,
    waiting,
)
from ias.billing.ledger.domain import BadEntry
from ias.billing.quarantine.domain import event_in

REQUEST = UUID(int=1)
USER = str(UUID(int=2))
ORG = str(UUID(int=3))
KEY = str(UUID(int=4))
FACTS = msgspec.json.encode(
    {
        "organisation": ORG,
        "user": USER,
        "key": KEY,
        "model": "m",
        "model_id": ORG,
        "endpoint": "chat",
        "started_at": 1700000000.0,
    }
)
ENTRY = {
    b"r": str(REQUEST).encode(),
    b"l": b"1",
    b"p": b"202601",
    b"pt": b"10",
    b"ct": b"5",
    b"ca": b"0",
    b"o": b"completed",
    b"e": b"0",
    b"b": b"0",
    b"f": FACTS,
}
WAITING = Waiting((REQUEST, 1), "202601", USER, 15, KEY)
fields = st.dictionaries(st.sampled_from(["used", "u:a", "u:b"]), st.integers(-1000, 1000))


def without(name: bytes, **changes: bytes) -> dict[bytes, bytes]:
    return {key: changes.get(key.decode(), value) for key, value in ENTRY.items() if key != name}


def test_an_outbox_entry_says_what_it_adds() -> None:
    assert waiting(ENTRY) == WAITING


def test_an_entry_of_which_no_request_can_be_told_is_counted_all_the_same() -> None:
    assert waiting(without(b"r")) == Waiting(None, "202601", USER, 15, KEY)
    assert waiting(without(b"", l=b"x")) == Waiting(None, "202601", USER, 15, KEY)


def test_an_entry_of_which_no_member_can_be_told_counts_for_the_organisation() -> None:
    assert waiting(without(b"f")) == Waiting((REQUEST, 1), "202601", "", 15)
    assert waiting(without(b"", f=b"{")) == Waiting((REQUEST, 1), "202601", "", 15)


@pytest.mark.parametrize("entry", [without(b"p"), without(b"pt"), without(b"", ct=b"many"), {}])
def test_what_the_library_did_not_write_adds_nothing(entry: dict[bytes, bytes]) -> None:
    assert waiting(entry) is None


def event(**changes: object) -> dict[str, object]:
    """An event as any release says it, with a field that this one does not know."""
    told = {"version": 99, "request_id": str(REQUEST), "line": 1, "period": "202601", "organisation": ORG, "user": USER}
    return {**told, "key": KEY, "prompt_tokens": 10, "completion_tokens": 5, "of_the_future": True, **changes}


@pytest.mark.parametrize("body", [[event()], event(), [event(), "no event"]])
def test_what_is_set_aside_is_told_whatever_its_version(body: object) -> None:
    [found] = set_aside(msgspec.json.encode(body))

    assert (found.owner, found.waiting) == (ORG, WAITING)


def test_an_outbox_entry_that_was_set_aside_belongs_to_its_outbox() -> None:
    told = {name.decode(): value.decode() for name, value in ENTRY.items()}

    [found] = set_aside(msgspec.json.encode({"outbox": "tag", "entry": "1-0", "fields": told}))

    assert (found.owner, found.waiting) == ("tag", WAITING)
    assert set_aside(msgspec.json.encode({"outbox": "tag", "entry": "1-0", "fields": {}})) == []


@pytest.mark.parametrize("body", [b"", b"no batch", b"[1, 2]", b"{}", b"\xff\xfe", b"[" * 10])
def test_of_junk_nothing_is_told(body: bytes) -> None:
    assert set_aside(body) == []


def test_settlements_are_summed_by_month_and_member() -> None:
    months: Months = {"202601": {"used": 1}}

    for one in (
        WAITING,
        msgspec.structs.replace(WAITING, tokens=-5),
        msgspec.structs.replace(WAITING, period="202602"),
    ):
        add(months, one)

    parts = {f"u:{USER}": 10, f"k:{KEY}": 10}, {f"u:{USER}": 15, f"k:{KEY}": 15}
    assert months == {"202601": {"used": 11, **parts[0]}, "202602": {"used": 15, **parts[1]}}


def test_keys_without_a_cap_are_left_out() -> None:
    fields = {"used": 15, f"u:{USER}": 15, f"k:{KEY}": 10, "k:other": 5, "k:": 1}

    assert counted(fields, {KEY}) == {"used": 15, f"u:{USER}": 15, f"k:{KEY}": 10}
    assert counted(fields, {}) == {"used": 15, f"u:{USER}": 15}


def test_totals_count_first_lines_as_requests_and_leave_earlier_months_out() -> None:
    total = Total("202601")

    for one in (
        WAITING,
        msgspec.structs.replace(WAITING, place=(REQUEST, 2), tokens=-5),
        msgspec.structs.replace(WAITING, place=None),
        msgspec.structs.replace(WAITING, period="202512"),
    ):
        total.add(one)

    assert total == Total("202601", 1, 25)


def test_what_is_counted_must_be_what_is_booked() -> None:
    assert differences({"used": 15, "u:a": 15}, {"used": 15, "u:a": 15}, {}) == {}
    assert differences({"used": 20}, {"used": 15, "u:a": 15}, {}) == {"used": -5, "u:a": 15}


def test_what_is_set_aside_may_be_counted_or_not_but_nothing_beyond() -> None:
    aside = {"used": 10}
    for have, wrong in ((15, 0), (20, 0), (25, 0), (26, -1), (14, 1)):
        assert differences({"used": have}, {"used": 15}, aside).get("used", 0) == wrong


def test_a_negative_sum_set_aside_allows_nothing() -> None:
    assert differences({"used": 15}, {"used": 15}, {"used": -100}) == {}


@given(fields, fields, fields)
def test_what_is_added_makes_it_right_and_no_less_would(have: Fields, booked: Fields, aside: Fields) -> None:
    wrong = differences(have, booked, aside)

    assert 0 not in wrong.values()
    assert differences(together(have, wrong), booked, aside) == {}
    for field, tokens in wrong.items():
        less = {**wrong, field: tokens - (1 if tokens > 0 else -1)}
        assert differences(together(have, less), booked, aside) != {}


def test_only_what_differs_just_so_again_lasts() -> None:
    assert lasting({"used": 5, "u:a": 3, "u:b": 1}, {"used": 5, "u:a": 2}) == {"used": 5}


def test_a_difference_is_as_large_as_the_largest_of_all_of_members_and_of_keys() -> None:
    assert size({"used": -5, "u:a": 3, "u:b": -4}) == 7
    assert size({"used": -50, "u:a": 3}) == 50
    assert size({"used": -5, "u:a": 3, "k:a": 4, "k:b": 4}) == 8
    assert size({}) == 0


def kept(**changes: object) -> bytes:
    told = {name.decode(): value.decode() for name, value in ENTRY.items()}
    return msgspec.json.encode({"outbox": "tag", "entry": "1700000000000-0", "fields": told} | changes)


def test_the_event_of_an_outbox_entry_in_quarantine_is_read_once_it_can_be() -> None:
    event = event_in(kept())

    assert (event.request_id, event.line, event.prompt_tokens) == (REQUEST, 1, 10)
    assert int(event.settled_at.timestamp()) == 1700000000


@pytest.mark.parametrize("body", [b"no entry", kept(entry="x-0"), kept(fields={}), b"{}"])
def test_an_outbox_entry_that_still_has_no_event_in_it_says_why(body: bytes) -> None:
    with pytest.raises(BadEntry, match=r"not an entry|missing"):
        event_in(body)
