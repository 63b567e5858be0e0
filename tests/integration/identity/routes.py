"""The routes that there are, by the API's own document, and the things that their paths name."""

from typing import Any

from tests.integration.identity.conftest import Api, Org, good

Routes = dict[tuple[str, str], Any]
"""Method and path, and what the document says of it."""

NOBODY = "0190a3a0-0000-7000-8000-000000000000"
OWNED = {"org_id", "user_id", "key_id", "entry_id", "invite_id", "alert_id", "request_id", "session_id"}
"""Names in paths of what belongs to one organisation; others, such as `model_id`, belong to the platform."""
PLATFORM = {"model_id", "rate_id"}


def routes_of(api: Api) -> Routes:
    """Every route that there is."""
    paths = good(api.anonymous().get("/openapi.json"))["paths"]
    return {
        (method.upper(), path.removeprefix("/api/v1")): operation
        for path, item in paths.items()
        for method, operation in item.items()
    }


def asked(operation: Any) -> dict[str, Any]:
    """The parameters of a route's query, and the schema of each."""
    return {each["name"]: each["schema"] for each in operation.get("parameters", ()) if each.get("in") == "query"}


def things_of(org: Org) -> dict[str, str]:
    """The id of one thing of each kind, by the names that paths have for them."""
    invite = good(org.admin.client.post("/users/invite", json={"email": f"{org.tag}@example.org"}))
    entries = good(org.admin.client.get("/audit-logs", params={"limit": "1"}))["items"]
    return dict.fromkeys(PLATFORM | {"alert_id", "request_id", "session_id"}, NOBODY) | {
        "org_id": org.id,
        "user_id": org.user.id,
        "key_id": org.user.key()["id"],
        "entry_id": entries[0]["id"],
        "invite_id": invite["id"],
    }
