"""The ledger's quarantine."""

from functools import partial

from ias.db import EVERYWHERE, transaction
from ias.quarantine import Quarantine

QUARANTINE = Quarantine("billing", partial(transaction, EVERYWHERE))
