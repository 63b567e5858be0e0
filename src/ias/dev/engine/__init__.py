"""The mock engine: a small process that behaves as vLLM 0.32 does, with known tokens and settable faults."""
