"""What the last admission of a caller's said of one model: by this the next request may go to its engine early."""

from ias.contract.admission import Admitted
from ias_gateway.served import Served


class Lead:
    """How a request for a model would be sent, if it is let in as the last one was.

    Attributes:
        org: the organisation's id.
        route: where the model is.
        usual: the output limit of requests that ask for none.
        until: how long it may be gone by, in monotonic seconds.
    """

    __slots__ = ("org", "route", "until", "usual")

    def __init__(self, org: str, route: Served, usual: int, until: float) -> None:
        self.org = org
        self.route = route
        self.usual = usual
        self.until = until


Leads = dict[str, Lead]
"""By the model's public name."""


def note(leads: Leads, model: str, answer: Admitted, route: Served, until: float) -> None:
    """Go by this admission until then; by none where a limit is near."""
    lead = leads.get(model)
    if answer.usual < 0:
        if lead is not None:
            del leads[model]
    elif lead is not None and lead.route is route and lead.usual == answer.usual and lead.org == answer.org:
        lead.until = until
    else:
        leads[model] = Lead(answer.org, route, answer.usual, until)
