"""The release before on the schema and the Function library of this one: `nox -s compat`."""
