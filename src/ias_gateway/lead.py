"""What the last admission of a caller's said of one model: by this the next request may go to its engine early."""

from ias.contract.admission import Admitted
from ias_gateway.served import Served


class Lead:
    """How a request for a model would be sent, if it is let in as the last one was.

    Attributes:
        last: how the last one was let in. One that is much larger may meet a limit.
        route: where the model is.
        until: how long it may be gone by, in monotonic seconds.
    """

    __slots__ = ("last", "route", "until")

    def __init__(self, last: Admitted, route: Served, until: float) -> None:
        self.last = last
        self.route = route
        self.until = until

    def fits(self, answer: Admitted) -> bool:
        """Whether a request that was let in so would be sent by it."""
        last = self.last
        return last.route == answer.route and last.org == answer.org


Leads = dict[str, Lead]
"""By the model's public name."""


def note(leads: Leads, model: str, answer: Admitted, route: Served, until: float) -> None:
    """Go by this admission until then; by none where a limit is near. What holds nothing tells nothing of limits."""
    lead = leads.get(model)
    if answer.usual < 0:
        if lead is not None:
            del leads[model]
    elif not answer.held:
        return
    elif lead is not None and lead.fits(answer):
        lead.last, lead.until = answer, until
    else:
        leads[model] = Lead(answer, route, until)
