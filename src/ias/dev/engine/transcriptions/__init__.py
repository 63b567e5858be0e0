"""vLLM's transcriptions, as Whisper makes them: what is heard, and how it is told, whole or in chunks."""
