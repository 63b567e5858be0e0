"""Shares: who and what makes up the usage of a time, how it changed, and how its requests went."""
