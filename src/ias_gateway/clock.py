"""The clocks that a request looks at a dozen times: compiled code calls these without looking a name up."""

from time import monotonic, time
from typing import Final

_monotonic: Final = monotonic
_time: Final = time


def now() -> float:
    """Monotonic seconds."""
    return _monotonic()


def unix_us() -> int:
    """Microseconds since 1970, UTC."""
    return int(_time() * 1e6)
