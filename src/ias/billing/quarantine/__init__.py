"""Settlements that the ledger could not book."""
