"""What the engine serves."""
