"""Usage events that analytics could not take in."""
