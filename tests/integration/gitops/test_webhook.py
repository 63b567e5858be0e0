"""What Git hosts say is believed where they signed it."""

import hmac

import msgspec

from tests.integration.gitops.conftest import WEBHOOK_SECRET, Ground
from tests.integration.gitops.repos import Repo, policy
from tests.integration.identity.conftest import Api, Org

PATH = "/gitops/webhook"


def signed(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


async def due(ground: Ground, org: Org) -> bool:
    return await ground.value(
        "SELECT r.due_at <= now() FROM gitops.repositories r JOIN gitops.bindings b ON b.repository_id = r.id"
        " WHERE b.org_id = $1::text::uuid",
        org.id,
    )


async def test_a_push_has_its_repository_looked_at_now(ground: Ground, repo: Repo, org: Org, api: Api) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    ground.bind(org, repo)
    await ground.reconcile()
    assert not await due(ground, org)
    body = msgspec.json.encode({"ref": "refs/heads/main", "repository": {"clone_url": str(repo.folder)}})
    answer = api.anonymous().post(PATH, content=body, headers={"x-hub-signature-256": signed(body)})
    assert (answer.status_code, answer.json()) == (202, {"repositories": 1})
    assert await due(ground, org)


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
