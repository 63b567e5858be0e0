"""What all requests of the engine share."""

from ias.dev.engine.directives import Settings
from ias.dev.engine.metrics import Metrics
from ias.dev.engine.oracle import Oracle
from ias.dev.engine.prefix_cache import PrefixCache
from ias.dev.engine.served import Served


class Engine:
    """One engine: its models, its settings, its cache, its counters and its oracle.

    Attributes:
        served: its models.
        context: tokens of a prompt and its answer together.
        settings: how it behaves now; `usual` is how it was started.
    """

    def __init__(self, served: Served, context: int, settings: Settings, oracle: Oracle) -> None:
        self.served = served
        self.context = context
        self.usual = settings
        self.oracle = oracle
        self.cache = PrefixCache()
        self.metrics = Metrics()
        self.settings = settings
        self.behave(settings)

    def behave(self, settings: Settings) -> None:
        """Behave so from now on. A block of another size empties the prefix cache."""
        if settings.cache_block != self.cache.block:
            self.cache.clear()
        self.cache.block, self.cache.capacity = settings.cache_block, settings.cache_blocks
        self.settings = settings

    def reset(self) -> None:
        """As it was started: settings, cache, counters and oracle. Requests under way go on."""
        running, waiting, blocks = self.metrics.running, self.metrics.waiting, self.metrics.blocks
        self.metrics = Metrics()
        self.metrics.running, self.metrics.waiting, self.metrics.blocks = running, waiting, blocks
        self.cache.clear()
        self.oracle.clear()
        self.behave(self.usual)
