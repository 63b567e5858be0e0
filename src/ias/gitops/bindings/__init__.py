"""Bindings: which organisation is managed by which repository, and how that stands."""
