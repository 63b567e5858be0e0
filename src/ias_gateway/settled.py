"""What the metrics say of settlements: how requests ended, what they used, and by how much it passed what was held."""

from typing import Final

from ias.contract.usage import Outcome
from ias_gateway.series import Tally
from ias_gateway.telemetry import Metrics

# An enumeration's member costs as much as all else of a short function.
_COMPLETED: Final = Outcome.COMPLETED


class Settled:
    """Counts settlements. What is counted for nearly each request has a tally that is kept here."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._completed = metrics.outcomes.tally((_COMPLETED,))
        self._tokens: dict[str, tuple[Tally, Tally]] = {}

    def note(self, model: str, tokens: tuple[int, int, int], held: int, outcome: Outcome) -> None:
        """One settlement of prompt, completion and cached tokens."""
        if outcome is _COMPLETED:
            self._completed.count += 1
        else:
            self._metrics.outcomes.values[(outcome,)] += 1
        of_model = self._tokens.get(model)
        if of_model is None:
            tally = self._metrics.tokens.tally
            of_model = self._tokens[model] = tally((model, "input")), tally((model, "output"))
        of_model[0].count += tokens[0]
        of_model[1].count += tokens[1]
        passed = tokens[0] + tokens[1] - held
        if passed > 0:
            self._metrics.overshot.values[()] += passed
