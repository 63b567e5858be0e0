"""API keys: what callers of the models show."""
