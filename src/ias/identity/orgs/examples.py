"""What the API's document shows of organisations."""

from ias import acme
from ias.identity.orgs.domain import NewOrganisation, Organisation, Status

EXAMPLES = (
    NewOrganisation(name="Acme Research"),
    Organisation(
        id=acme.ORGANISATION, name="Acme Research", tag=acme.TAG, status=Status.ACTIVE, created_at=acme.CREATED
    ),
)
