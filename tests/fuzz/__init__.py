"""Fuzzing of what reads bytes of others: `nox -s fuzz`. Seeds and what it found are in `corpus`; tests replay them."""
