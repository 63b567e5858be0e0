"""Plans: what a policy file would change, whom that blocks, and what it would have refused."""
