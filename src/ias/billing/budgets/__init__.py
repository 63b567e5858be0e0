"""Budgets: tokens a month of organisations and members."""
