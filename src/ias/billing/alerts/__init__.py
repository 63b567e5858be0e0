"""Alerts: a budget's use has passed a threshold."""
