"""The strict bodies of requests: one module per family, and `endpoints.py`, which says which path takes which."""
