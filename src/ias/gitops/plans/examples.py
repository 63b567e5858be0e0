"""What the API's document shows of plans."""

from ias import acme
from ias.gitops.plans.answers import Asked, AskedReplay, Proposal
from ias.gitops.plans.checks import Blocked
from ias.gitops.plans.domain import Change
from ias.gitops.plans.replay import Replayed

_DOCUMENT = """\
apiVersion: ias.linode.com/v1
kind: Organization
metadata:
  name: Acme Research
spec:
  budgets:
    monthly_tokens: 8000000
"""

EXAMPLES = (
    Asked(document=_DOCUMENT),
    AskedReplay(document=_DOCUMENT, days=30),
    Proposal(
        org_id=acme.ORGANISATION,
        organisation="Acme Research",
        as_of=acme.LATER,
        faults=[],
        changes=[Change(field="spec.budgets.monthly_tokens", before=10_000_000, after=8_000_000)],
        blocked=[Blocked("everybody", "8,012,345 of 8,000,000 tokens are used this month", 8_012_345)],
        held_for=[],
    ),
    Replayed(since=acme.MONTH_BEGINS, requests=5_310, refused=0, users=[]),
)
