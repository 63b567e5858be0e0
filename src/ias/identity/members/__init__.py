"""Members of organisations: invited, changed, removed."""
