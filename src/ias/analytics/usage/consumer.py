"""The door of usage: batches of events come in here, from the queue or straight from the relay."""

import asyncpg

from ias.analytics.usage.actions import quarantine, record
from ias.analytics.usage.domain import fault_in
from ias.db import DatabaseDown
from ias.intake import Intake

INTAKE = Intake(
    name="usage",
    fault_in=fault_in,
    record=record,
    quarantine=quarantine,
    away=(DatabaseDown, asyncpg.PostgresError),
)
