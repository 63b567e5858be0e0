"""The five end-to-end cases of constitution 1.1."""

import time
from collections.abc import Callable

import httpx
import openai
import pytest

from tests.product import Person
from tests.product.people import new_org

USAGE_WITHIN_S = 60.0
HELLO = [{"role": "user", "content": "Say hello to the ledger."}]


def eventually(look: Callable[[], bool], within: float = USAGE_WITHIN_S) -> bool:
    """Whether something becomes true in time."""
    until = time.monotonic() + within
    while not look():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def test_happy_path_from_organisation_to_logged_usage(admin: Person) -> None:
    org = new_org(admin)
    client = org.user.openai(org.user.issue_key()["token"])

    whole = client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=20)
    assert whole.choices[0].message.content
    assert whole.usage
    stream = client.chat.completions.create(
        model="mock-gpt", messages=HELLO, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage

    expected = whole.usage.total_tokens + chunks[-1].usage.total_tokens

    def shown() -> bool:
        usage = org.user.get(f"/analytics/orgs/{org.id}/usage")
        return usage["totals"]["total_tokens"] == expected and usage["totals"]["requests"] == 2

    assert eventually(shown), org.user.get(f"/analytics/orgs/{org.id}/usage")


def test_auth_failure_an_invalid_or_revoked_key_is_a_401(admin: Person) -> None:
    org = new_org(admin)
    key = org.user.issue_key()
    client = org.user.openai(key["token"], max_retries=0)
    client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=1)

    org.user.api.delete(f"/api-keys/{key['id']}").raise_for_status()

    with pytest.raises(openai.AuthenticationError) as revoked:
        client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=1)
    assert revoked.value.code == "invalid_api_key"
    for token in ("nonsense", key["token"][:-1] + "x", key["token"].replace("ias_", "sk_")):
        with pytest.raises(openai.AuthenticationError):
            org.user.openai(token, max_retries=0).models.list()


def test_budget_failure_is_a_429_that_says_whose_budget(admin: Person) -> None:
    org = new_org(admin)
    client = org.user.openai(org.user.issue_key()["token"])
    client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=5)

    org.admin.api.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 1}).raise_for_status()

    with pytest.raises(openai.RateLimitError) as over:
        client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=5)
    assert over.value.code == "insufficient_quota"
    assert over.value.response.headers["x-should-retry"] == "false"
    assert "organisation's budget of 1 tokens" in str(over.value)


def test_rbac_failure_an_org_user_cannot_revoke_another_users_key(admin: Person) -> None:
    org = new_org(admin)
    foreign = new_org(admin)
    key = org.admin.issue_key()

    assert org.user.api.delete(f"/api-keys/{key['id']}").status_code in {403, 404}
    assert foreign.admin.api.delete(f"/api-keys/{key['id']}").status_code == 404
    org.admin.openai(key["token"]).models.list()

    assert org.admin.api.delete(f"/api-keys/{org.user.issue_key()['id']}").is_success


def test_audit_log_every_write_appears(admin: Person) -> None:
    org = new_org(admin)
    key = org.user.issue_key()
    org.user.api.delete(f"/api-keys/{key['id']}").raise_for_status()
    org.admin.api.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 5000}).raise_for_status()

    entries = org.admin.get("/audit-logs", limit="200")["items"]
    actions = [entry["action"] for entry in entries]
    assert {"key.issued", "key.revoked"} <= set(actions), actions
    assert any("budget" in action for action in actions), actions
    assert any("accept" in action or "invite" in action for action in actions), actions
    assert key["token"] not in httpx.Response(200, json=entries).text


def test_unknown_model_is_a_404_with_what_may_be_used(admin: Person) -> None:
    org = new_org(admin)
    with pytest.raises(openai.NotFoundError) as missing:
        org.user.openai(org.user.issue_key()["token"]).chat.completions.create(model="gpt-9", messages=HELLO)
    assert missing.value.code == "model_not_found"
    assert "mock-gpt" in str(missing.value)
