"""What Git hosts say is believed where they signed it."""

import hmac

import msgspec

from tests.integration.gitops.conftest import WEBHOOK_SECRET, Ground
from tests.integration.gitops.repos import Repo, policy
from tests.integration.identity.conftest import Api, Org

PATH = "/gitops/webhook"


def signed(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


async def due(ground: Ground, org: Org, seconds: float) -> bool:
    """Whether the repository is looked at within so many seconds after the last look."""
    return await ground.value(
        "SELECT r.due_at <= r.looked_at + $2 * interval '1 second'"
        " FROM gitops.repositories r JOIN gitops.bindings b ON b.repository_id = r.id"
        " WHERE b.org_id = $1::text::uuid",
        org.id,
        seconds,
    )


async def test_a_push_has_its_repository_looked_at_now(ground: Ground, repo: Repo, org: Org, api: Api) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    ground.bind(org, repo)
    await ground.reconcile()
    assert not await due(ground, org, 60)
    body = msgspec.json.encode({"ref": "refs/heads/main", "repository": {"clone_url": str(repo.folder)}})
    for _ in range(3):  # whoever has it may send it again and again
        answer = api.anonymous().post(PATH, content=body, headers={"x-hub-signature-256": signed(body)})
        assert (answer.status_code, answer.json()) == (202, {"repositories": 1})
    assert await due(ground, org, 60)
    assert not await due(ground, org, 1.9)
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name, "  budgets:\n    monthly_tokens: 1000\n")})
    await ground.owner.execute("UPDATE gitops.repositories SET looked_at = looked_at - interval '5 seconds'")
    api.anonymous().post(PATH, content=body, headers={"x-hub-signature-256": signed(body)})
    await ground.reconcile(force=False)
    assert ground.status(org)["applied_commit"] == repo.head


def test_a_forged_webhook_is_refused(api: Api) -> None:
    body = b'{"repository": {"clone_url": "https://example.org/x.git"}}'
    client = api.anonymous()
    headers = [
        {},
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": signed(body, "another secret that is long enough to be one")},
        {"x-hub-signature-256": signed(body + b" ")},
        {"x-hub-signature-256": signed(body).upper()},
        {"x-hub-signature": signed(body)},
        {"x-hub-signature-256": "sha256=\xe9"},
    ]
    for each in headers:
        encoded = {name: value.encode("latin-1") for name, value in each.items()}
        assert client.post(PATH, content=body, headers=encoded).status_code == 401, each


def test_a_signed_webhook_that_names_no_repository_is_refused(api: Api) -> None:
    for body in (b"", b"x", b"[]", b"{}", b'{"repository": []}', b'{"repository": {"clone_url": 1}}', b"[" * 100_000):
        answer = api.anonymous().post(PATH, content=body, headers={"x-hub-signature-256": signed(body)})
        assert answer.status_code == 400, body
