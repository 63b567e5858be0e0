"""Comparing what Redis counts and holds with the ledger, each minute."""
