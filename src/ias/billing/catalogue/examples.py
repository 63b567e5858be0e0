"""What the API's document shows of the catalogue."""

from decimal import Decimal

from ias import acme
from ias.billing.catalogue.diagnosis import Check, ModelTest, ReplicaTest, State
from ias.billing.catalogue.domain import Backend, Model, ModelAccess, ModelChanges, NewModel
from ias.billing.catalogue.prices import ModelRate, NewRate

_BACKENDS = (Backend("http://llama-1.inference.example:8000"), Backend("http://llama-2.inference.example:8000"))

EXAMPLES = (
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
