"""The JSON Schema of a policy file, for editors: made of the Structs that read it."""

from typing import Final, cast

import msgspec

from ias.gitops.documents.domain import Document

ADDRESS: Final = "https://ias.linode.com/schemas/org.v1.json"
TITLE: Final = "An organisation of Inference-as-a-Service"


def schema() -> dict[str, object]:
    """The schema (draft 2020-12)."""
    made = cast("dict[str, object]", msgspec.json.schema(Document))
    definitions = cast("dict[str, dict[str, object]]", made["$defs"])
    for definition in definitions.values():
        definition.pop("title", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ADDRESS, "title": TITLE, **made}


def written() -> str:
    """The schema as the repository has it in `orgs/org.schema.json`."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"
