"""The face of gitops: what Git wants of organisations."""
