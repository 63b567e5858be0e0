"""Tests of the gateway on a real vLLM, and what it answers with figures; run by `nox -s engine` alone."""
