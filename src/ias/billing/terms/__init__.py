"""Terms: all that billing knows of what an organisation may use at once, to be compared with what is wanted."""
