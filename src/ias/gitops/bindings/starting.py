"""What one begins with: the least policy file of an organisation, and where its Git host says that it was pushed."""

from typing import Final

import msgspec

WEBHOOK: Final = "/api/v1/gitops/webhook"

_FILE: Final = """\
apiVersion: ias.linode.com/v1
kind: Organization
metadata:
  name: {name}
spec:
  budgets:
    monthly_tokens: 1000000
  alert_thresholds:
    - percent: 80
    - percent: 100
"""


def first_file(name: str) -> str:
    """A policy that says a budget and alerts; members, limits and models stay as they are."""
    # A JSON string is one of YAML too, whatever is in it.
    return _FILE.format(name=msgspec.json.encode(name).decode())
