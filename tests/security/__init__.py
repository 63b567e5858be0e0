"""What looks for mistakes that tests do not see: house rules, secrets, charts and cloud (`nox -s security`)."""
