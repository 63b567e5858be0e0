"""What is well and what is not: looked at by `ias doctor` for people, and by each worker for its metrics."""
