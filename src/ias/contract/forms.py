"""Which gateways a Function library serves: calls have a form, and a library says which forms it understands.

So a gateway goes on being ready when the library of the next release takes the place of its own.
"""

from collections.abc import Sequence
from typing import cast

FORM = 1
"""The form of this release's calls. It grows with each function that a library has and older ones lack, and the second
number of `ias_forms` with it; the first one grows when what gateways of that form call is taken away."""

FORMS_CALL = ("FCALL_RO", "ias_forms", 0)


def serves(forms: object) -> bool:
    """Whether a library that answered `FORMS_CALL` so understands this release's calls."""
    oldest, newest = cast("Sequence[int]", forms)
    return oldest <= FORM <= newest
