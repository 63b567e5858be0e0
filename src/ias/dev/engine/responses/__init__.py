"""vLLM's Responses API: what is asked for, and how it is told, whole or in events."""
