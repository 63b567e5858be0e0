"""Spend: the ledger's sums by month."""
