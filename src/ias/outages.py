"""What a process says when a service that it needs does not answer."""


class Outage(Exception):
    """A service does not answer; the message says which. Each has its own kind of it."""
