"""Usage: what was used, by whom and when."""
