"""Repeated requests: a POST that is sent again with its `Idempotency-Key` is answered again, not done again."""
