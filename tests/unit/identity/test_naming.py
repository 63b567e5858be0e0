"""Names and addresses: what can be taken, and which are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.identity.naming import MAX_NAME, BadName, clean_address, clean_name, containing, folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.org", "ada@example.ORG"),
        ("ａda@example.org", "ada@example.org"),
        ("STRASSE", "straße"),
        ("Ame\u0301lie", "Amélie"),
        ("Acme\ufe0f", "Acme"),
        ("Ac\u3164me\u034f", "Acme"),
    ],
)
def test_case_and_unicode_twins_are_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text())
def test_folding_a_second_time_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_a_name_loses_the_space_around_it() -> None:
    assert clean_name("  Acme & Söhne ", "/name") == "Acme & Söhne"


@pytest.mark.parametrize(
    "bad",
    [
        *("", "   ", "x" * (MAX_NAME + 1), "x" * 10_240, "a\nb", "a\r\nb", "a\0b"),
        *("a\u202eb", "a\u2066b", "a\u200bb", "a\u2028b", "\u3164", "\ufe0f\u034f"),
    ],
)
def test_a_name_that_is_empty_too_long_or_unprintable_is_refused_with_its_field(bad: str) -> None:
    with pytest.raises(BadName) as refused:
        clean_name(bad, "/label")
    assert refused.value.status == 400
    assert refused.value.errors[0].pointer == "/label"
    assert refused.value.detail.startswith("label: must")


def test_markup_is_a_name_like_any_other() -> None:
    assert clean_name("<script>alert(1)</script>", "/name") == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "good", ["ada@example.org", " ada.lovelace+test@sub.example.org ", "ada@localhost", "ä@exämple.org"]
)
def test_an_address_may_have_anything_around_its_one_at_sign(good: str) -> None:
    assert clean_address(good, "/email") == good.strip()


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a@b@c",
        "a b@example.org",
        "a\0@example.org",
        f"a@{'x' * 260}",
        "a\u202e@b",
        "a\ufe0f@b",
    ],
)
def test_what_is_not_an_address_is_refused(bad: str) -> None:
    with pytest.raises(BadName, match="email: must be an e-mail address"):
        clean_address(bad, "/email")


def test_a_pattern_finds_the_text_as_it_is_written() -> None:
    assert containing("a%b_c\\d") == "%a\\%b\\_c\\\\d%"
