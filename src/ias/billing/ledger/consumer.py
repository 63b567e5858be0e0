"""The ledger's door: batches of usage events come in here, from the queue or straight from the relay."""

from ias.billing.ledger.actions import quarantine, record
from ias.billing.ledger.domain import fault_in
from ias.bus import Intake

INTAKE = Intake(fault_in=fault_in, record=record, quarantine=quarantine)
