"""The OpenAPI document is valid, whole, as it is committed, and has examples that its own schemas take."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from tests.product.document import Document, printed
from tests.unit.openapi.breaking import broken

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs/openapi.json"
META = Path(__file__).with_name("oas-3.1.json")
"""The OpenAPI Initiative's own schema of documents (Apache-2.0), 2025-11-23."""
REGENERATE = "ias openapi > docs/openapi.json"


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(msgspec.json.decode(printed()))


def operations(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document.paths.items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_the_committed_one() -> None:
    committed, now = COMMITTED.read_bytes(), printed()
    if committed == now:
        return
    gone = broken(msgspec.json.decode(committed), msgspec.json.decode(now))
    said = "\n  ".join(gone) or "nothing; what is there was only added to, or said in other words"
    pytest.fail(
        f"docs/openapi.json is not what the routes say. If they are right: {REGENERATE}\n"
        f"What clients cannot do any more then:\n  {said}",
        pytrace=False,
    )


def test_the_document_is_openapi_3_1(document: Document) -> None:
    meta = jsonschema_rs.Draft202012Validator(msgspec.json.decode(META.read_bytes()))
    assert [f"{error.instance_path}: {error.message}" for error in meta.iter_errors(document.whole)] == []
    worse = deepcopy(document.whole)
    del worse["paths"]["/api/v1/me"]["get"]["responses"]["200"]["description"]
    assert not meta.is_valid(worse)


def test_every_schema_is_a_json_schema(document: Document) -> None:
    for schema in document.components["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": document.components})


def test_every_operation_says_what_it_does(document: Document) -> None:
    tags = {tag["name"] for tag in document.whole["tags"]}
    for route, operation in operations(document):
        assert operation["summary"], route
        assert len(operation["summary"]) <= 120, route
        assert operation["description"].startswith(operation["summary"]), route
        assert operation["tags"], route
        assert set(operation["tags"]) <= tags, route
        for parameter in operation["parameters"]:
            assert "$ref" in parameter or parameter["description"], f"{route} {parameter}"


def test_operation_ids_are_unique_and_say_no_path(document: Document) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all("api_v1" not in each for each in ids)


def test_every_parameter_has_an_example_that_its_schema_takes(document: Document) -> None:
    for route, operation in operations(document):
        for parameter in operation["parameters"]:
            if "$ref" not in parameter:
                assert parameter.get("example") is not None, f"{route}: {parameter['name']} has no example"
                document.valid(parameter["schema"], parameter["example"])


def test_every_body_and_answer_has_an_example_that_its_schema_takes(document: Document) -> None:
    for route, operation in operations(document):
        answers = [answer for answer in operation["responses"].values() if "$ref" not in answer]
        for each in (operation.get("requestBody", {}), *answers):
            for kind, said in each.get("content", {}).items():
                named = "$ref" in said["schema"] or kind != "application/json"
                assert not named or said.get("example") or said.get("examples"), f"{route} has no example of {kind}"
                if "example" in said:
                    document.valid(said["schema"], said["example"])


def test_every_problem_has_an_example_and_a_type_of_its_own(document: Document) -> None:
    for name, example in document.components["examples"].items():
        document.valid({"$ref": "#/components/schemas/ProblemDetails"}, example["value"])
        assert example["value"]["type"].startswith("urn:ias:problem:"), name


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: Document) -> None:
    text = msgspec.json.encode(document.whole).decode()
    for kind in ("schemas", "responses", "parameters", "headers", "examples"):
        for name in document.components[kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"
    for part in text.split('"$ref":"#/components/')[1:]:
        kind, _, name = part.partition('"')[0].partition("/")
        assert name in document.components[kind]


def test_whoever_must_be_logged_in_may_get_401_and_403_and_nobody_else(document: Document) -> None:
    for route, operation in operations(document):
        answers = operation["responses"].keys()
        if operation["security"]:
            assert {"401", "403"} <= answers, route
        else:
            assert "#/components/responses/NotAuthenticated" not in str(operation["responses"]), route


def test_whatever_takes_a_body_may_refuse_it(document: Document) -> None:
    for route, operation in operations(document):
        answers = operation["responses"].keys()
        assert {"413", "415"} <= answers or "requestBody" not in operation, route
        assert {"500", "503"} <= answers, route


def test_if_match_is_a_parameter_where_412_is_an_answer(document: Document) -> None:
    matching = {"$ref": "#/components/parameters/If-Match"}
    for route, operation in operations(document):
        assert (matching in operation["parameters"]) == ("412" in operation["responses"]), route


def test_a_post_of_somebody_logged_in_may_be_sent_again(document: Document) -> None:
    key = {"$ref": "#/components/parameters/Idempotency-Key"}
    for route, operation in operations(document):
        repeatable = route.startswith("POST") and bool(operation["security"])
        assert (key in operation["parameters"]) == repeatable, route
        assert not repeatable or {"409", "422"} <= operation["responses"].keys(), route


def test_what_clients_rely_on_is_missed_when_it_goes(document: Document) -> None:
    now = deepcopy(document.whole)
    assert broken(document.whole, now) == []
    del now["paths"]["/api/v1/me"]["patch"]
    now["paths"]["/api/v1/users"]["get"]["parameters"].pop()
    now["paths"]["/api/v1/users"]["get"]["parameters"][0]["required"] = True
    now["paths"]["/api/v1/organizations"]["get"]["operationId"] = "other"
    del now["components"]["schemas"]["Me"]["properties"]["email"]
    now["components"]["schemas"]["Me"]["required"].remove("name")
    now["components"]["schemas"]["NewKey"]["required"].append("expires_at")
    now["components"]["schemas"]["Role"]["enum"].remove("org-user")
    assert sorted(broken(document.whole, now)) == [
        "GET /api/v1/organizations was called organisation_listed and is called other",
        "GET /api/v1/users asks for org_id",
        "GET /api/v1/users takes limit no more",
        "Me has name no longer always",
        "Me has no email any more",
        "NewKey asks for expires_at",
        "PATCH /api/v1/me is gone",
        "Role is never 'org-user' any more",
    ]
