"""The pages that are made of code: what is committed under docs/, and what only the site has."""
