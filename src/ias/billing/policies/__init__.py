"""Policies: what gateways enforce of budgets and limits."""
