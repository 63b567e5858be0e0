"""The face of analytics: nothing that others use yet."""
