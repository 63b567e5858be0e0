"""The Function library on a real Redis."""
