"""The API is what its document says, whatever it is sent: requests are made of the document itself.

Each route is asked by a system admin, an org admin and somebody who is not logged in: what may be sent, and what may
not. `nox -s schemas` does the same for longer, and in other orders.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from tests.integration.openapi.ground import LEFT_OUT, SEED, WHO, Ground
from tests.product.document import Document


def asked_by_anybody(document: dict[str, Any]) -> dict[str, Any]:
    """The document without security: who asks is the test's own choice."""
    paths = {
        path: {method: {**operation, "security": []} for method, operation in item.items()}
        for path, item in document["paths"].items()
    }
    components = {name: part for name, part in document["components"].items() if name != "securitySchemes"}
    return {**document, "paths": paths, "components": components, "security": []}


ROOT = Path(__file__).parents[3]
DOCUMENT = Document(msgspec.json.decode((ROOT / "docs/openapi.json").read_bytes()))
SCHEMA = schemathesis.openapi.from_dict(asked_by_anybody(DOCUMENT.whole))
ROUTES = {
    operation["operationId"]: (path, method)
    for path, item in DOCUMENT.paths.items()
    for method, operation in item.items()
}
ASKED = [name for name in ROUTES if name not in LEFT_OUT]
TAKING = [name for name, (path, method) in ROUTES.items() if "requestBody" in DOCUMENT.paths[path][method]]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
QUICK = 4
EXAMPLES = int(os.environ.get("IAS_TEST_SCHEMA_EXAMPLES", str(QUICK)))
"""Requests of each route, of each kind: such as may be sent, and such as may not."""


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.name.lower())
def test_whatever_is_sent_is_answered_as_documented(ground: Ground, name: str, mode: GenerationMode) -> None:
    path, method = ROUTES[name]
    operation = SCHEMA[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        pytest.skip("nothing is sent that could be wrong")

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    # What may not be sent stays as it was made.
    @given(
        case=operation.as_strategy(generation_mode=mode),
        who=st.sampled_from(WHO),
        sure=st.booleans() if mode is GenerationMode.POSITIVE else st.just(False),
    )
    def ask(case: Case, who: str, *, sure: bool) -> None:
        ground.ask(case, ground.actors[who], sure=sure)

    ask()


def test_a_method_that_a_path_does_not_take_is_answered_with_those_that_it_takes(ground: Ground) -> None:
    for path, item in DOCUMENT.paths.items():
        for method in [method for method in METHODS if method.lower() not in item]:
            answer = ground.session.request(method, ground.api.url + path.replace("{", "").replace("}", ""), timeout=60)
            assert answer.status_code in {404, 405}, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            if answer.status_code == 405:
                allowed = {each.strip() for each in answer.headers["allow"].split(",")}
                assert {each.upper() for each in item} <= allowed, (method, path)


@pytest.mark.parametrize("name", TAKING)
def test_a_body_of_another_kind_is_refused(ground: Ground, name: str) -> None:
    path, method = ROUTES[name]
    who = ground.actors["org admin" if name in {"key_issue", "key_rotate"} else "system admin"]
    filled = path.format_map(dict.fromkeys(("org_id", "user_id", "key_id", "model_id"), str(who.ids["org_id"])))
    headers = {**who.headers, "content-type": "text/plain"}
    answer = ground.session.request(method, ground.api.url + filled, headers=headers, data=b"{}", timeout=60)
    assert answer.status_code == 415, answer.text
    assert answer.json()["type"] == "urn:ias:problem:not-json"
