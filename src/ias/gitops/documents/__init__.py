"""Documents: the policy of an organisation as its file has it."""
