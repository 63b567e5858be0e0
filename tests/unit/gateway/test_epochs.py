"""What Redis may have lost, by the epochs that it tells."""

from uuid import UUID

from uuid_utils import uuid7

from ias.contract.ticked import Ticked, read_tick
from ias_gateway.epochs import MOST_REMEMBERED, Epochs
from ias_gateway.live import began_us


def ticked(epoch_ms: int) -> Ticked:
    return read_tick([1, b"5-0", str(epoch_ms * 1000).encode()])


def test_an_epoch_that_changes_is_a_loss_and_one_that_stays_is_none() -> None:
    epochs = Epochs()
    assert not epochs.is_new("a", ticked(100), None)
    assert not epochs.is_new("a", ticked(100), 50)
    assert epochs.is_new("a", ticked(200), 150)
    assert not epochs.is_new("a", ticked(200), 150)
    assert not epochs.is_new("b", ticked(200), None)


def test_what_was_settled_before_the_first_epoch_that_is_seen_is_in_doubt_once() -> None:
    epochs = Epochs()
    assert epochs.is_new("a", ticked(100), 100)
    assert not epochs.is_new("a", ticked(100), 100)
    assert not epochs.is_new("b", ticked(100), 101)


def test_only_organisations_with_something_under_way_are_remembered_for_long() -> None:
    epochs = Epochs()
    for number in range(MOST_REMEMBERED + 3):
        epochs.is_new(f"{number}", ticked(100), None)
    epochs.forget_all_but({"1"})
    assert epochs.is_new("1", ticked(200), None)
    assert not epochs.is_new("2", ticked(200), None)


def test_marks_and_losses_are_read_from_a_tick() -> None:
    found = read_tick([1, b"lost", b"7000", b"r1", b"unknown", b"r2", b"swept"])
    assert (found.now, found.first, found.lost, found.epoch_ms) == (1, "", True, 7)
    assert found.marks == (("r1", "unknown"), ("r2", "swept"))


def test_a_requests_id_tells_when_it_began() -> None:
    request = str(uuid7())
    assert began_us(request) == (UUID(request).int >> 80) * 1000
