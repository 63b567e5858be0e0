"""The key that the playground calls models with."""
