"""How Redis's counts are asked for, and how the answers are read."""

from ias.contract import books
from ias.contract.books import Correction, Month, Vitals

TAG = "abcdEFGH"


def test_every_call_names_the_one_key_of_its_organisation() -> None:
    month = Month("203001", "a fence", {"used": 1})
    calls = (books.books(TAG), books.repair(TAG, month, {"used": -1}), books.recount(TAG), books.vitals(TAG, "relay"))
    for call in calls:
        assert call[0] in {"FCALL", "FCALL_RO"}
        assert call[2:4] == (1, "{o:abcdEFGH}")
        assert all(isinstance(argument, (str, bytes, int)) for argument in call)


def test_a_repair_carries_the_fence_and_the_differences() -> None:
    month = Month("203001", "a fence", {"used": 1})

    assert books.repair(TAG, month, {"used": -5, "u:x": 7})[4:] == ("203001", "a fence", "used", -5, "u:x", 7)


def test_the_books_are_read_without_what_is_held() -> None:
    flat = [b"used", b"15", b"resv", b"9", b"u:x", b"15", b"r:x", b"9", b"base", b"0", b"full", b"100"]

    counted = books.read_books([b"1", b"5-0", b"203001", b"f", flat, b"202912", b"", []])

    assert counted.complete
    assert counted.last == b"5-0"
    assert counted.months == (Month("203001", "f", {"used": 15, "u:x": 15}), Month("202912", "", {}))
    assert not books.read_books([b"", b"", b"203001", b"", [], b"202912", b"", []]).complete


def test_corrections_say_where_and_what() -> None:
    reply = [b"203001", b"resv", b"5", b"0", b"live", b"l:x", b"-1", b"2"]

    assert books.read_recount(reply) == [Correction("203001", "resv", 5, 0), Correction("live", "l:x", -1, 2)]
    assert books.read_recount([]) == []


def test_vitals_have_times_where_there_is_something() -> None:
    reply = [b"1", b"1700000100", 2, b"1700000000500-0", b"1700000001000-7", 3, 1, b"1700000090", b"1700000130", b"gw"]

    assert books.read_vitals(reply) == Vitals(
        complete=True,
        outbox=2,
        live=3,
        lapsed=1,
        now_s=1700000100.0,
        oldest_s=1700000000.5,
        unrelayed_s=1700000001.0,
        lapsed_s=1700000090.0,
        lease_s=1700000130.0,
        gateway="gw",
    )


def test_of_an_idle_organisation_there_are_no_times() -> None:
    vitals = books.read_vitals([b"", b"1700000100", 0, b"", b"", 0, 0, b"", b"", b""])

    assert (vitals.complete, vitals.gateway) == (False, "")
    assert (vitals.oldest_s, vitals.unrelayed_s, vitals.lapsed_s, vitals.lease_s) == (None, None, None, None)


def test_a_lease_that_runs_is_none_that_lapsed() -> None:
    vitals = books.read_vitals([b"1", b"100", 0, b"", b"", 1, 0, b"130", b"130", b"gw"])

    assert (vitals.lapsed_s, vitals.lease_s) == (None, 130.0)
