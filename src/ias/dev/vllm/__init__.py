"""A real vLLM on this machine's processor, in an environment of its own, serving a small real model."""
