"""A model route: what the gateway has to know to serve a model by its public name."""

import msgspec


class ModelRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One model as an organisation may call it. Lengths and limits are tokens.

    Attributes:
        name: the public name, as callers write it in `model`.
        model_id: the catalogue's id of the model, for ledger lines.
        upstream_name: the name that the engine serves it under.
        replicas: base URLs of the engines, such as `http://llama.inference:8000`.
        context_length: the engine's `max_model_len`; prompt and output together.
        max_output_tokens: output limit injected where the caller gives none.
        tenant_salt: whether the engine's prefix cache is separated by organisation (`cache_salt`).
        image_tokens: what an image is held as until its tokens are known; 0: the model takes no images.
        prompt_overhead: tokens at most that the model's template adds to a prompt of its own accord.
        created: when it was put into the catalogue, in Unix seconds.
    """

    name: str
    model_id: str
    upstream_name: str
    replicas: tuple[str, ...]
    context_length: int = 8192
    max_output_tokens: int = 1024
    tenant_salt: bool = True
    image_tokens: int = 0
    prompt_overhead: int = 0
    created: int = 0


encode_route = msgspec.json.Encoder().encode
decode_route = msgspec.json.Decoder(ModelRoute).decode
