"""The roster: all that identity knows of an organisation at once, to be read and brought to what is wanted."""
