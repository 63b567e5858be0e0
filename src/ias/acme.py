"""Acme Research, the organisation that the examples of the API's document are of: ids and moments that they share."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

ORGANISATION: Final = UUID("0190a3a0-7c2e-7d31-9c54-2f6b8a1d4e03")
TAG: Final = "k3T9vQ2x"
ADA: Final = UUID("0190a3a1-11d0-7f4a-8b7e-5d9c3a6f2b18")
"""Its admin."""
ADAS_ADDRESS: Final = "ada@acme.example"
GRACE: Final = UUID("0190a3a4-9b3c-7e55-a1d2-7f0e4c8b6a29")
"""A member."""
GRACES_ADDRESS: Final = "grace@acme.example"
KEY: Final = UUID("0190a3a6-2f7b-7c80-9d13-6a5e8b0c4f71")
MODEL: Final = UUID("0190a39e-4d5a-7b62-8f0c-3e7d1a9b5c64")
MODELS_NAME: Final = "llama-3.3-70b"
RATE: Final = UUID("0190a39f-83c1-7a0d-b5e6-9c2f4d7a1e35")
REQUEST: Final = UUID("0190b7c2-5e1f-7d94-8a36-0b4c9e2d7f58")
ENTRY: Final = UUID("0190a3a6-2f90-7b13-8c47-1d6e0a5f9b82")
SESSION: Final = UUID("0190a3a5-6c7d-7e21-9f08-4b2a8d3c5e97")

CREATED: Final = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
LATER: Final = datetime(2026, 1, 15, 14, 5, 27, tzinfo=UTC)
EXPIRES: Final = datetime(2026, 7, 1, tzinfo=UTC)
MONTH: Final = "202601"
MONTH_BEGINS: Final = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_ENDS: Final = datetime(2026, 2, 1, tzinfo=UTC)
