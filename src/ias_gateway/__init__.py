"""The edge process: authenticate, admit, proxy to vLLM, settle."""
