"""The catalogue: models, where they are served, what they cost."""
