"""Limits: how fast, how many at once, and which models."""
