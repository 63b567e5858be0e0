"""What the wheel and the images give, run: the Dockerfiles' own steps, in a private Debian where no engine is."""
