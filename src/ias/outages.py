"""What a process says when a service that it needs does not answer."""

from prometheus_client import Counter

GIVEN_UP = Counter("ias_pool_timeouts", "Times that no connection to PostgreSQL could be had in time.")


class Outage(Exception):
    """A service does not answer; the message says which. Each has its own kind of it."""
