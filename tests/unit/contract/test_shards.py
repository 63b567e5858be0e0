"""Slots, the map of a cluster, redirections and marks."""

import pytest

from ias.contract import shards
from ias.contract.shards import Redirection, Shard, mark_of, read_map, read_nodes, read_redirection, slot_of, unmarked


@pytest.mark.parametrize(("key", "slot"), [("123456789", 12739), ("{AbC}x", 0), ("a{}b", 0), ("a{b", 0)])
def test_a_key_has_the_slot_of_its_hash_tag(key: str, slot: int) -> None:
    whole = {"{AbC}x": "AbC"}.get(key, key)
    assert shards.slot_of_key(key) == (slot or shards.crc_hqx(whole.encode(), 0) % shards.SLOTS)


@pytest.mark.parametrize(("tag", "slot"), [("AbCd1234", 1893)])
def test_a_slot_is_what_cluster_keyslot_says(tag: str, slot: int) -> None:
    assert slot_of(tag) == slot


def test_a_shard_holds_the_tags_of_its_slots_first_and_last_too() -> None:
    for span in ((1893, 1893), (1893, 2000), (0, 1893)):
        assert Shard(("h", 1), (span,)).holds("AbCd1234")
    assert not Shard(("h", 1), ((0, 1892), (1894, 16383))).holds("AbCd1234")


@pytest.mark.parametrize("first", [0, 1, 5461, 16383])
def test_a_mark_lies_in_a_slot_of_its_shard(first: int) -> None:
    key = Shard(("h", 1), ((first, first), (first, 16383))).mark
    assert first <= shards.slot_of_key(key) <= 16383
    assert key.startswith("ias:projection:")


def test_a_mark_seldom_moves_when_slots_come_and_go() -> None:
    marks = {Shard(("h", 1), ((4000 + moved, 8000 + moved),)).mark for moved in range(200)}
    assert len(marks) < 30


def test_a_map_is_read_by_master_with_its_spans_in_order() -> None:
    reply = [
        [10, 20, [b"10.0.0.1", 7001, b"id", {}], [b"10.0.0.9", 7009, b"id", {}]],
        [0, 9, [b"", 7002, b"id"]],
        [21, 30, [None, 7002, b"id"]],
        [31, 31, [b"?", 7003, b"id"]],
        [1, 5, [b"10.0.0.1", 7001, b"id", {}]],
        [6, 7],
    ]
    assert read_map(reply, "asked") == [
        Shard(("10.0.0.1", 7001), ((1, 5), (10, 20))),
        Shard(("asked", 7002), ((0, 9), (21, 30))),
        Shard(("asked", 7003), ((31, 31),)),
    ]
    assert read_nodes(reply[:2], "asked") == [("10.0.0.1", 7001), ("10.0.0.9", 7009), ("asked", 7002)]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("MOVED 3999 127.0.0.1:6381", Redirection(3999, ("127.0.0.1", 6381), False)),
        ("ASK 1 :7000", Redirection(1, ("asked", 7000), True)),
        ("MOVED 2 ::1:7001", Redirection(2, ("::1", 7001), False)),
        ("MOVED 2 [::1]:7001", Redirection(2, ("::1", 7001), False)),
        ("MOVED 2 shard-1.example.com:7001 more", Redirection(2, ("shard-1.example.com", 7001), False)),
        ("TRYAGAIN Multiple keys request during rehashing of slot", None),
        ("ERR no such thing", None),
    ],
)
def test_redirections_are_read(error: str, told: Redirection | None) -> None:
    assert read_redirection(error, "asked") == told


def test_names_are_as_people_write_them() -> None:
    assert (Shard(("h", 1), ()).name, Shard(("::1", 1), ()).name) == ("h:1", "[::1]:1")


@pytest.mark.parametrize(
    ("spans", "mark", "left"),
    [
        (((0, 10),), "", ((0, 10),)),
        (((0, 10),), "0-10", ()),
        (((0, 10),), "0-20", ()),
        (((0, 10),), "3-4", ((0, 2), (5, 10))),
        (((0, 10),), "5-9 0-2", ((3, 4), (10, 10))),
        (((0, 10), (20, 30)), "0-25", ((26, 30),)),
        (((5, 6), (8, 9)), "0-4 7-7", ((5, 6), (8, 9))),
    ],
)
def test_what_a_mark_does_not_name_is_unmarked(spans: tuple, mark: str, left: tuple) -> None:
    assert unmarked(spans, mark) == left
    assert unmarked(spans, mark_of([*spans])) == ()
