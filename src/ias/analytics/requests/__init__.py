"""Requests: what is known of each one, which is never what was asked or answered."""
