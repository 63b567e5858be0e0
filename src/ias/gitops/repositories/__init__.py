"""Repositories: fetched bare, read without a checkout."""
