"""What the API's document shows of the ledger."""

from datetime import timedelta

from ias import acme
from ias.billing.ledger.lines import LedgerLine, LedgerLineList, LineRate

EXAMPLES = (
    LedgerLineList(
        items=[
            LedgerLine(
                request_id=acme.REQUEST,
                line=1,
                period=acme.MONTH,
                org_id=acme.ORGANISATION,
                user_id=acme.GRACE,
                key_id=acme.KEY,
                model=acme.MODELS_NAME,
                model_id=acme.MODEL,
                endpoint="/v1/chat/completions",
                prompt_tokens=1_200,
                completion_tokens=350,
                cached_tokens=1_000,
                cost="0.00111",
                rate=LineRate(
                    id=acme.RATE,
                    valid_from=acme.CREATED,
                    input_rate="0.0006",
                    output_rate="0.0024",
                    cached_input_rate="0.00015",
                ),
                outcome="completed",
                estimated=False,
                lower_bound=False,
                streamed=True,
                status=200,
                started_at=acme.LATER,
                settled_at=acme.LATER + timedelta(seconds=4),
                created_at=acme.LATER + timedelta(seconds=5),
            )
        ]
    ),
)
