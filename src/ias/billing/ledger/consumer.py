"""The ledger's door: batches of usage events come in here, from the queue or straight from the relay."""

import asyncpg

from ias.billing.ledger.actions import quarantine, record
from ias.contract.sound import fault_in
from ias.db import DatabaseDown
from ias.intake import Intake

INTAKE = Intake(
    name="ledger",
    fault_in=fault_in,
    record=record,
    quarantine=quarantine,
    away=(DatabaseDown, asyncpg.PostgresError),
)
