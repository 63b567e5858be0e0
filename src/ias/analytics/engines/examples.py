"""What the API's document shows of reconciliation."""

from ias import acme
from ias.analytics.engines.domain import Cause, Reason, Reconciled, Reconciliation

EXAMPLES = (
    Reconciliation(
        start=acme.MONTH_BEGINS,
        end=acme.MONTH_ENDS,
        items=[
            Reconciled(
                day=acme.MONTH_BEGINS.date(),
                models=[acme.MODELS_NAME],
                requests=5_310,
                prompt_tokens=6_400_000,
                completion_tokens=1_612_345,
                engine_requests=5_310,
                engine_prompt_tokens=6_400_000,
                engine_completion_tokens=1_612_870,
                prompt_difference=0,
                completion_difference=525,
                replicas=2,
                restarts=0,
                watched_share=1.0,
                agrees=False,
                reasons=[
                    Reason(
                        Cause.ENDED_EARLY,
                        3,
                        "3 requests were aborted, cut, lost or failed: an engine counts what it computed, the ledger "
                        "what was delivered",
                    )
                ],
            )
        ],
        read_at=acme.LATER,
        data_as_of=acme.LATER,
    ),
)
