"""`ias dev`: everything on this machine without a container engine, for a first look and for every day after it."""
