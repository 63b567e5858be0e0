"""Outbox entries."""

from ias.billing.ledger.outbox import Entry


def test_an_entry_knows_when_it_was_added() -> None:
    assert Entry("tag", b"1795235955793-12", {}).at_ms == 1795235955793
