"""What the last admission of a caller's said of one model: by this the next request may go to its engine early."""

from ias.contract.admission import Admitted
from ias_gateway.served import Served


class Lead:
    """How a request for a model would be sent, if it is let in as the last one was.

    Attributes:
        org: the organisation's id.
        route: where the model is.
        encoded: the route as it was told.
        held: tokens that the last request held: a much larger one may meet a limit.
        usual: the output limit of requests that ask for none.
        until: how long it may be gone by, in monotonic seconds.
    """

    __slots__ = ("encoded", "held", "org", "route", "until", "usual")

    def __init__(self, answer: Admitted, route: Served, until: float) -> None:
        self.org = answer.org
        self.route = route
        self.encoded = answer.route
        self.usual = answer.usual
        self.held = answer.held
        self.until = until

    def fits(self, answer: Admitted) -> bool:
        """Whether a request that was let in so would be sent by it."""
        return self.encoded == answer.route and self.org == answer.org


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
    elif lead is not None and lead.fits(answer) and lead.usual == answer.usual:
        lead.held, lead.until = answer.held, until
    else:
        leads[model] = Lead(answer, route, until)
