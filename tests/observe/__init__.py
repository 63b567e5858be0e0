"""Prometheus against the live product: every panel and every alert has something to look at. `nox -s observe`."""
