"""Where the console leads, for whom."""

from ias.console.navigation import Area, Entry, links

ENTRIES = (
    Entry("Keys", "/orgs/{org_id}/keys", "key-round", "keys:read", place=10),
    Entry("Home", "/orgs/{org_id}", "house", place=0),
    Entry("Models", "/models", "boxes", "models:write", area=Area.PLATFORM),
)


def test_only_what_somebody_may_see_is_shown_in_its_order() -> None:
    shown = links(ENTRIES, "o1", frozenset({"keys:read"}), "/orgs/o1")
    assert [(link.label, link.path, link.here) for link in shown["Organisation"]] == [
        ("Home", "/orgs/o1", True),
        ("Keys", "/orgs/o1/keys", False),
    ]
    assert "Platform" not in shown


def test_without_an_organisation_its_pages_are_not_shown() -> None:
    assert list(links(ENTRIES, "", frozenset({"keys:read", "models:write"}), "/models")) == ["Platform"]


def test_a_page_below_an_entry_is_of_the_closest_one() -> None:
    shown = links(ENTRIES, "o1", frozenset({"keys:read"}), "/orgs/o1/keys/new")
    assert [link.label for link in shown["Organisation"] if link.here] == ["Keys"]
    assert not any(link.here for link in links(ENTRIES, "o1", frozenset(), "/me")["Organisation"])
    assert not any(link.here for link in links(ENTRIES, "o1", frozenset(), "/orgs/o12")["Organisation"])
