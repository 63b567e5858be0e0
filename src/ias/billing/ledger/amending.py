"""Second truths of requests whose first line is in the ledger: adjustments, where one of the two is a lower bound."""

from collections.abc import Sequence
from uuid import UUID

from ias.contract.amends import Known, adjustment, is_amendable
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, transaction

_KNOWN = """
SELECT request_id, max(line) AS line, bool_or(line = 1 AND lower_bound) AS lower_bound,
    sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,
    sum(cached_tokens)::bigint AS cached
FROM billing.ledger_lines WHERE request_id = ANY($1) GROUP BY request_id
"""


async def amends(events: Sequence[UsageRecorded]) -> tuple[list[UsageRecorded], list[UsageRecorded]]:
    """Lines to be added for events that contradict what is in the ledger, and those that remain contradictions.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    if not events:
        return [], []
    known = await _known([event.request_id for event in events])
    lines, contradicting = [], []
    for event in events:
        so_far = known.get(event.request_id)
        if so_far is None or not is_amendable(event, so_far):
            contradicting.append(event)
        elif (line := adjustment(event, so_far)) is not None:
            lines.append(line)
            known[event.request_id] = so_far.after(line)
    return lines, contradicting


async def _known(requests: Sequence[UUID]) -> dict[UUID, Known]:
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_KNOWN, requests)
    return {
        row["request_id"]: Known(row["line"], (row["prompt"], row["completion"], row["cached"]), row["lower_bound"])
        for row in rows
    }
