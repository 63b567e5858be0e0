"""Browsers that show pages: their sessions, and who looks."""
