"""What stands out of an organisation's people and keys: what its first page tells."""
