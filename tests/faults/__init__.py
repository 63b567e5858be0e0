"""Harm while requests run, and whether the books are right afterwards."""
