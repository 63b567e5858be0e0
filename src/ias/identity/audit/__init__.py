"""Every write: who, what, before and after."""
