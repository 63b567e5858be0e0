"""The calls about key records: what is sent, and what the answers mean."""

import msgspec

from ias.contract.key_records import NO_RULES, Begun, Rules, count, grants, of_key, read_count

ROW = ("f" * 64, "active", "k", "u", "")


def test_no_rules_are_no_fields() -> None:
    assert NO_RULES.fields() == ()


def test_each_rule_is_fields_of_the_record() -> None:
    assert Rules(monthly_tokens=0).fields() == ("cap", 0)
    assert Rules(models=()).fields() == ("m", 1)
    assert Rules(models=("a", "b"), monthly_tokens=5).fields() == ("cap", 5, "m", 1, "m:a", 1, "m:b", 1)


def test_many_keys_go_in_one_argument_and_rules_in_another_only_where_there_are_any() -> None:
    *_, version, rows = grants("tag", 7, [ROW, ROW])
    assert (version, msgspec.msgpack.decode(rows)) == (7, [*ROW, *ROW])
    *_, rows, rules = grants("tag", 7, [ROW], {"f": Rules(monthly_tokens=5)})
    assert (msgspec.msgpack.decode(rows), msgspec.msgpack.decode(rules)) == ([*ROW], {"f": ["cap", 5]})


def test_counting_names_fingerprints_and_ids() -> None:
    assert count("tag", [("f", "k"), ("g", "l")]) == ("FCALL", "ias_count", 1, "{o:tag}", "f", "k", "g", "l")
    assert of_key("k") == "k:k"


def test_from_when_on_keys_are_counted_is_told_where_the_month_is_there() -> None:
    assert read_count([b"202601", b"x|0|", b"1-0", b"5", b"0"]) == Begun("202601", "x|0|", b"1-0", (5, 0))
    assert read_count([]) is None
