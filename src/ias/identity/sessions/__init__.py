"""Logging in and staying so: passwords, refresh tokens, one's own account."""
