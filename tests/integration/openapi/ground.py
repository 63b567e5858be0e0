"""A place in which everything may be broken: an api process with a database of its own, and who may ask it what.

Ids that are made up are mostly not there. Those of a request are therefore replaced by ids of things that are, most of
the time; what may be removed or suspended is nobody's that asks.
"""

import os
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import requests
from schemathesis import Case
from schemathesis.specs.openapi import checks

from tests.integration.identity.conftest import ROOT, Api, good, new_member, new_org

SEED = int(os.environ.get("IAS_TEST_SCHEMA_SEED", "1"))
WHO = ("system admin", "org admin", "nobody")
HELD_TO = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
LEFT_OUT = {
    "auth_logout": "it ends the session that the others are asked with",
    "auth_refresh": "likewise, where it is given a token that was used",
}


@dataclass
class Actor:
    """Who asks, and the ids that are put into what they ask."""

    headers: dict[str, str]
    ids: dict[str, str]

    def placed(self, case: Case, *, sure: bool) -> Case:
        """The case, about things that are there."""
        names = self.ids.keys() & (case.path_parameters or {}).keys()
        if sure:
            case.path_parameters = {**case.path_parameters, **{name: self.ids[name] for name in names}}
        return case


class Ground:
    """The api process, and who asks it."""

    def __init__(self, api: Api, session: requests.Session) -> None:
        self.api, self.session = api, session
        self.actors = actors(api)
        self._addresses = Random(SEED)

    def ask(self, case: Case, who: Actor, *, sure: bool) -> None:
        """Send a request, and hold the answer to the document."""
        placed = who.placed(case, sure=sure)
        # Each from an address of its own: guessing passwords is slowed down by address.
        address = ".".join(str(self._addresses.randrange(1, 255)) for _ in range(4))
        headers = {**who.headers, "x-forwarded-for": address}
        answer = placed.call(base_url=self.api.url, session=self.session, headers=headers, timeout=60)
        said = f"{placed.method} {placed.formatted_path}: {answer.status_code} {answer.text[:500]}"
        assert answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers), said
        # That a body is too large is told before what is wrong in it, and is not among what that check expects.
        placed.validate_response(answer, checks=HELD_TO if answer.status_code != 413 else HELD_TO[:-1])


def actors(api: Api) -> dict[str, Actor]:
    """A system admin and an org admin with an organisation each to harm, and somebody who is not logged in."""
    root = api.login(ROOT)
    victims, own = new_org(api, root), new_org(api, root)
    spare = new_member(api, own.admin.client, own.id)
    model = good(
        root.post("/models", json={"name": f"m-{uuid4().hex}", "backends": [{"url": "http://llama.example.org:8000"}]})
    )
    rate = good(
        root.post(
            f"/models/{model['id']}/rates",
            json={"input_rate": "1", "output_rate": "1", "valid_from": "2100-01-01T00:00:00Z"},
        )
    )
    shared = {"model_id": model["id"], "rate_id": rate["id"]}
    return {
        "system admin": Actor(_token(root), shared | _things(victims.admin.client, victims.id, victims.other.id)),
        "org admin": Actor(_token(own.admin.client), shared | _things(own.admin.client, own.id, spare.id)),
        "nobody": Actor({}, shared),
    }


def _things(admin: httpx.Client, org_id: str, user_id: str) -> dict[str, str]:
    invite = good(admin.post("/users/invite", json={"email": f"{uuid4().hex}@example.org"}))
    key = good(admin.post("/api-keys", json={"label": "spare"}))
    entry: dict[str, Any] = good(admin.get("/audit-logs", params={"limit": 1}))["items"][0]
    return {
        "org_id": org_id,
        "user_id": user_id,
        "invite_id": invite["id"],
        "key_id": key["id"],
        "entry_id": entry["id"],
    }


def _token(client: httpx.Client) -> dict[str, str]:
    return {"authorization": client.headers["authorization"]}
