"""Usage as a page shows it: columns over time, who makes them up, what changed."""
