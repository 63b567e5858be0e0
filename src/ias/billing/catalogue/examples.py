"""What the API's document shows of the catalogue."""

from datetime import timedelta
from decimal import Decimal

from ias import acme
from ias.billing.catalogue.diagnosis import Check, ModelTest, ReplicaTest, State
from ias.billing.catalogue.domain import AccessInForce, Backend, Model, ModelAccess, ModelChanges, NewModel
from ias.billing.catalogue.prices import ModelRate, NewRate
from ias.billing.catalogue.told import Caller, Callers, ReplicaSeen, ReplicasSeen, Seen

_BACKENDS = (Backend("http://llama-1.inference.example:8000"), Backend("http://llama-2.inference.example:8000"))

EXAMPLES = (
    Callers(
        model_id=acme.MODEL,
        name=acme.MODELS_NAME,
        unlisted=12,
        listed=[Caller(acme.ORGANISATION, "Acme Research")],
        since=acme.LATER - timedelta(days=1),
        organisations=5,
        keys=31,
        requests=18_204,
    ),
    ReplicasSeen(
        [
            ReplicaSeen(
                url=_BACKENDS[0].url,
                seen=Seen.ANSWERS,
                read_at=acme.LATER,
                started_at=acme.CREATED,
                requests=5_310,
                prompt_tokens=6_400_000,
                generation_tokens=1_612_870,
            )
        ]
    ),
    Model(
        id=acme.MODEL,
        name=acme.MODELS_NAME,
        upstream_name="meta-llama/Llama-3.3-70B-Instruct",
        enabled=True,
        context_length=131_072,
        max_output_tokens=4_096,
        tenant_salt=True,
        input_rate=Decimal("0.0006"),
        output_rate=Decimal("0.0024"),
        cached_input_rate=Decimal("0.00015"),
        created_at=acme.CREATED,
        updated_at=acme.LATER,
        backends=_BACKENDS,
    ),
    ModelAccess(models=[acme.MODELS_NAME]),
    AccessInForce(models=[acme.MODELS_NAME]),
    ModelChanges(max_output_tokens=8_192, enabled=True),
    ModelRate(
        id=acme.RATE,
        model_id=acme.MODEL,
        valid_from=acme.CREATED,
        valid_until=None,
        input_rate="0.0006",
        output_rate="0.0024",
        cached_input_rate="0.00015",
        created_at=acme.CREATED,
    ),
    ModelTest(
        model_id=acme.MODEL,
        name=acme.MODELS_NAME,
        ok=True,
        gateway="gateway-1",
        replicas=[
            ReplicaTest(
                url=backend.url,
                ok=True,
                checks=[Check(what="one token", state=State.OK, found="answered with usage")],
                latency_ms=84.5,
                prompt_tokens=11,
                completion_tokens=1,
            )
            for backend in _BACKENDS
        ],
    ),
    NewModel(
        name=acme.MODELS_NAME,
        backends=list(_BACKENDS),
        upstream_name="meta-llama/Llama-3.3-70B-Instruct",
        context_length=131_072,
        max_output_tokens=4_096,
        input_rate=Decimal("0.0006"),
        output_rate=Decimal("0.0024"),
        cached_input_rate=Decimal("0.00015"),
    ),
    NewRate(input_rate=Decimal("0.0005"), output_rate=Decimal("0.002"), valid_from=acme.MONTH_ENDS),
)
