"""The ledger: the truth about money."""
