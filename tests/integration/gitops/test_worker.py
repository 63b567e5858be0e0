"""The worker process itself: a push is in force within seconds, an edit is put back, a key is turned away."""

import hmac
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.integration.gitops.conftest import WEBHOOK_SECRET, Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Api, Org, good
from tests.product.processes import BIN, Process
from tests.services import free_port

PATIENCE_S = 90.0


@pytest.fixture
def workers(gitops_env: dict[str, str], tmp_path: Path) -> Iterator[list[Process]]:
    """Two workers, each with mirrors of its own."""
    started = []
    for number in range(2):
        port = str(free_port())
        own = {
            "IAS_WORKER_PORT": port,
            "IAS_GITOPS_EVERY_S": "2",
            "IAS_GITOPS_DIR": str(tmp_path / f"mirrors-{number}"),
        }
        env = {**gitops_env, **own}
        probe = f"http://127.0.0.1:{port}/ready"
        started.append(Process(f"worker-{number}", (str(BIN / "ias"), "worker"), env, tmp_path, probe))
    try:
        for worker in started:
            worker.start()
        for worker in started:
            worker.wait_ready()
        yield started
    finally:
        for worker in started:
            worker.end()


def until(holds: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S, "it never came about"
        time.sleep(0.05)
    return time.monotonic() - began


def budget(org: Org, who: httpx.Client) -> int:
    return good(who.get(f"/organizations/{org.id}/budget"))["monthly_tokens"]


def test_workers_put_into_force_what_is_pushed_and_keep_it_up(
    ground: Ground, repo: Repo, org: Org, api: Api, workers: list[Process]
) -> None:
    path, spec = f"orgs/{org.name}/org.yaml", "  budgets:\n    monthly_tokens: {}\n"
    all_of_them = ((org.admin.email, "org-admin"), (org.user.email, "org-user"), (org.other.email, "org-user"))
    repo.commit({path: policy(org.name, spec.format(1000) + users(*all_of_them))})
    ground.bind(org, repo)
    until(lambda: budget(org, org.admin.client) == 1000)
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 7}))
    until(lambda: budget(org, org.admin.client) == 1000)
    repo.commit({path: policy(org.name, spec.format(2000) + users(*all_of_them[:2]))})
    body = msgspec.json.encode({"repository": {"clone_url": str(repo.folder)}})
    signature = "sha256=" + hmac.new(WEBHOOK_SECRET.encode(), body, "sha256").hexdigest()
    good(api.anonymous().post("/gitops/webhook", content=body, headers={"x-hub-signature-256": signature}))
    until(lambda: budget(org, org.admin.client) == 2000)
    until(lambda: org.other.client.get("/me").status_code == 401)
    drift = good(org.admin.client.get(f"/organizations/{org.id}/gitops/drift"))["items"]
    assert [(each["found"], each["wanted"]) for each in drift] == [(7, 1000)]
    runs = good(org.admin.client.get(f"/organizations/{org.id}/gitops/runs"))["items"]
    assert len(runs) == 3
    workers[0].kill()
    repo.commit({path: policy(org.name, spec.format(3000) + users(*all_of_them[:2]))})
    until(lambda: budget(org, org.admin.client) == 3000)
