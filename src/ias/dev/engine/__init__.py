"""The mock engine: a small process that behaves as vLLM does, with known tokens and settable faults."""
