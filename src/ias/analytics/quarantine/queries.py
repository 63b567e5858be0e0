"""Analytics' quarantine."""

from functools import partial

from ias.db import EVERYWHERE, transaction
from ias.quarantine import Quarantine

QUARANTINE = Quarantine("analytics", partial(transaction, EVERYWHERE))
