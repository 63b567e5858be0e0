"""What all requests of the engine share."""

from ias.dev.engine.directives import Behaviour
from ias.dev.engine.metrics import Metrics
from ias.dev.engine.oracle import Oracle
from ias.dev.engine.prefix_cache import PrefixCache


class Engine:
    """One engine: its models, its settings, its cache, its counters and its oracle."""

    def __init__(self, models: tuple[str, ...], context: int, usual: Behaviour, oracle: Oracle) -> None:
        self.models = models
        self.context = context
        self.usual = usual
        self.oracle = oracle
        self.cache = PrefixCache()
        self.metrics = Metrics()
        self.accepting = True
        """Whether connections are taken; a fault that the control port sets."""
