"""The door of usage: batches of events come in here, from the queue or straight from the relay."""

from ias.analytics.usage.actions import quarantine, record
from ias.analytics.usage.domain import fault_in
from ias.bus import Intake

INTAKE = Intake(fault_in=fault_in, record=record, quarantine=quarantine)
