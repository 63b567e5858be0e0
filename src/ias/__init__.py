"""Inference-as-a-Service: the modular monolith behind the gateway."""
