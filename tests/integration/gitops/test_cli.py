"""`ias-admin gitops`: what it prints, and how it ends."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from ias.db import uuid7
from tests.integration.cli.shell import Shell, overheard, token_of
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Api, Org, good
from tests.product.processes import BIN

BUDGET = "  budgets:\n    monthly_tokens: {}\n"


def command(api: Api, client: object, *words: str) -> tuple[int, str, str]:
    """As whoever this client is."""
    token = client.headers["authorization"].partition(" ")[2]
    env = {**api.env, "IAS_ACCESS_TOKEN": token, "IAS_API_URL": api.url}
    done = Api(api.process, env).command("ias-admin", "gitops", *words)
    return done.returncode, done.stdout, done.stderr


def file(folder: Path, text: str) -> str:
    path = folder / "org.yaml"
    path.write_text(text)
    return str(path)


def test_files_are_checked_without_a_server_and_a_login(api: Api, tmp_path: Path) -> None:
    orgs = tmp_path / "orgs"
    for name, text in {"a": policy("a"), "b": policy("wrong", "  budget: 1\n")}.items():
        (orgs / name).mkdir(parents=True)
        (orgs / name / "org.yaml").write_text(text)
    env = {name: value for name, value in api.env.items() if not name.startswith("IAS_")}
    nobody = Api(api.process, {**env, "HOME": str(tmp_path)})
    well = nobody.command("ias-admin", "gitops", "validate", str(orgs / "a"))
    assert (well.returncode, well.stdout) == (0, "")
    bad = nobody.command("ias-admin", "gitops", "validate", str(orgs))
    assert bad.returncode == 1
    assert bad.stdout.splitlines() == [
        f"{orgs}/b/org.yaml:4:9: metadata.name: must be 'b', the name of the organisation and of its folder",
        f"{orgs}/b/org.yaml:6:3: spec: 'budget' is not known here; did you mean spec.budgets?",
    ]
    told = nobody.command("ias-admin", "gitops", "validate", str(orgs), "-o", "json")
    assert [fault["line"] for fault in json.loads(told.stdout)] == [4, 6]
    (orgs / "c").mkdir()
    (orgs / "c" / "org.yaml").symlink_to("/etc/passwd")
    for folder, name in (("A", "org.yaml"), ("d", "Org.yaml")):
        (orgs / folder).mkdir()
        (orgs / folder / name).write_text(policy(folder))
    told = nobody.command("ias-admin", "gitops", "validate", *(str(orgs / each) for each in "Aacd")).stdout
    assert told.splitlines() == [
        f"{orgs}/A/org.yaml: 'A' and 'a' differ in case or spelling alone; keep one of them",
        f"{orgs}/a/org.yaml: 'a' and 'A' differ in case or spelling alone; keep one of them",
        f"{orgs}/c/org.yaml: is a symbolic link or a folder; a policy is a file",
        f"{orgs}/d/Org.yaml: must be called org.yaml",
    ]
    assert nobody.command("ias-admin", "gitops", "validate", str(tmp_path / "nothing")).returncode == 2
    (tmp_path / "empty").mkdir()
    assert nobody.command("ias-admin", "gitops", "validate", str(tmp_path / "empty")).returncode == 1
    printed = nobody.command("ias-admin", "gitops", "schema").stdout
    assert json.loads(printed) == good(api.anonymous().get("/gitops/schema"))


async def test_a_plan_ends_with_0_for_nothing_3_for_changes_and_1_for_faults(
    ground: Ground, org: Org, api: Api, tmp_path: Path
) -> None:
    same = file(tmp_path, policy(org.name, BUDGET.format(5_000_000)))
    assert command(api, org.admin.client, "plan", same) == (0, "nothing changes\n", "")
    used = (f"{datetime.now(UTC):%Y%m}", UUID(org.id), UUID(org.user.id), uuid7())
    await ground.owner.execute(
        "INSERT INTO billing.spend (period, org_id, user_id, key_id, model, requests, prompt_tokens,"
        " completion_tokens, cached_tokens, cost) VALUES ($1, $2, $3, $4, 'm', 1, 60, 40, 0, 0)",
        *used,
    )
    less = file(tmp_path, policy(org.name, BUDGET.format(100)))
    code, out, _ = command(api, org.admin.client, "plan", less)
    assert (code, out.splitlines()) == (
        3,
        [
            "~ spec.budgets.monthly_tokens: 5,000,000 -> 100",
            "! blocks everybody: the organisation has used 100 of 100 tokens this month",
        ],
    )
    code, out, _ = command(api, org.admin.client, "plan", less, "--markdown")
    assert code == 3
    assert "| `spec.budgets.monthly_tokens` | 5,000,000 | 100 |" in out
    code, out, _ = command(api, org.admin.client, "plan", less, "-o", "json")
    assert json.loads(out)["blocked"][0]["used_tokens"] == 100
    bad = file(tmp_path, policy(org.name, BUDGET.format(5_000_001)))
    code, out, _ = command(api, org.admin.client, "plan", bad)
    assert code == 1
    assert out.startswith(f"{bad}:6:1: spec.budgets.monthly_tokens: is above the platform's ceiling")
    broken = file(tmp_path, policy(org.name, "  nothing: 1\n"))
    assert command(api, org.admin.client, "plan", broken)[0] == 1
    assert command(api, org.user.client, "plan", same)[0] == 6
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 5_000_000


def test_a_system_admin_is_told_the_faults_of_a_file_whose_organisation_cannot_be_read(
    ground: Ground, api: Api, tmp_path: Path
) -> None:
    bad = file(tmp_path, policy("x", "  nothing: 1\n"))
    told = f"{bad}:6:3: spec: 'nothing' is not known here"
    for words in (("plan", bad), ("replay", bad)):
        code, out, err = command(api, ground.root, *words)
        assert (code, out.startswith(told), "no organisation" in err) == (1, True, False), err
    code, out, _ = command(api, ground.root, "plan", bad, "-o", "json")
    assert (code, [fault["line"] for fault in json.loads(out)]) == (1, [6])
    code, out, _ = command(api, ground.root, "plan", bad, "--markdown")
    assert (code, "cannot be put into force" in out, f"{bad}:6:3" in out) == (1, True, True)


def test_a_system_admin_is_told_a_name_that_no_organisation_has(
    ground: Ground, org: Org, api: Api, tmp_path: Path
) -> None:
    unknown = file(tmp_path, policy(org.name[:-1]))
    for name in ("plan", "replay"):
        code, _, err = command(api, ground.root, name, unknown)
        assert (code, repr(org.name[:-1]) in err, "--org" in err) == (5, True, True), err
    assert command(api, ground.root, "plan", file(tmp_path, policy(org.name))) == (0, "nothing changes\n", "")


def test_a_system_admins_plan_asks_for_the_one_organisation(ground: Ground, org: Org, api: Api, tmp_path: Path) -> None:
    shell = Shell(tmp_path, api.url, token_of(ground.root))
    with overheard() as answers:
        shell.good("gitops", "plan", file(tmp_path, policy(org.name)))
    (listed,) = [answer.json()["items"] for answer in answers if answer.request.url.path.endswith("/organizations")]
    assert [each["id"] for each in listed] == [org.id]


async def test_the_life_of_a_held_commit_is_told_and_ended(ground: Ground, repo: Repo, org: Org, api: Api) -> None:
    commit = repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name, users((org.admin.email, "org-admin")))})
    code, out, err = command(api, ground.root, "enable", str(repo.folder), "--org", org.id)
    assert code == 0, err
    await ground.reconcile()
    code, out, err = command(api, org.admin.client, "status")
    assert code == 0, err
    assert "held" in out
    assert "more than half" in out
    code, out, err = command(api, org.admin.client, "diff")
    assert code == 3, err
    assert f"- spec.users[{org.user.email}]" in out
    assert command(api, org.admin.client, "approve", commit, "--org", org.id)[0] == 6
    assert command(api, ground.root, "approve", "0" * 40, "--org", org.id)[0] == 7
    assert command(api, ground.root, "approve", commit, "--org", org.id)[0] == 0
    await ground.reconcile()
    assert command(api, org.admin.client, "diff")[:2] == (0, "nothing changes\n")
    assert commit[:12] in command(api, org.admin.client, "history")[1]


async def test_an_emergency_is_begun_and_ended(ground: Ground, repo: Repo, org: Org, api: Api) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    ground.bind(org, repo)
    code, out, _ = command(api, ground.root, "suspend", org.id, "--reason", "incident 7", "--for", "2h")
    assert code == 0
    assert "incident 7" in out
    assert command(api, ground.root, "suspend", org.id, "--reason", "x", "--for", "31d")[0] == 2
    assert command(api, ground.root, "suspend", org.id, "--reason", "x", "--for", "soon")[0] == 2
    assert command(api, ground.root, "suspend", org.id, "--for", "2h")[0] == 2
    assert command(api, org.admin.client, "resume", org.id)[0] == 6
    assert command(api, ground.root, "resume", org.id)[0] == 0


@pytest.mark.parametrize("days", ["0", "63", "x"])
def test_a_replay_looks_back_a_while_and_no_longer(api: Api, org: Org, tmp_path: Path, days: str) -> None:
    path = file(tmp_path, policy(org.name))
    assert command(api, org.admin.client, "replay", path, "--days", days)[0] == 2


CHECK = Path(__file__).parents[3] / ".github/actions/policies/check.sh"


def test_the_action_checks_all_policies_and_plans_those_that_changed(
    ground: Ground, repo: Repo, org: Org, api: Api, tmp_path: Path
) -> None:
    path, summary = f"orgs/{org.name}/org.yaml", tmp_path / "summary.md"
    base = repo.commit({path: policy(org.name), "orgs/other/org.yaml": policy("other")})

    def check() -> subprocess.CompletedProcess[str]:
        token = ground.root.headers["authorization"].partition(" ")[2]
        told = {"BASE": base, "GITHUB_STEP_SUMMARY": str(summary), "IAS_ACCESS_TOKEN": token, "IAS_API_URL": api.url}
        env = {**api.env, **told, "PATH": f"{BIN}:{os.defpath}"}
        return subprocess.run([str(CHECK)], env=env, cwd=repo.folder, capture_output=True, text=True, timeout=120)

    assert check().returncode == 0
    assert not summary.exists()
    repo.commit({path: policy(org.name, BUDGET.format(1000))})
    done = check()
    assert done.returncode == 0, done.stderr
    assert "| `spec.budgets.monthly_tokens` | 5,000,000 | 1,000 |" in summary.read_text()
    assert "other" not in summary.read_text()
    repo.commit({path: policy(org.name, BUDGET.format(6_000_000))})
    assert check().returncode == 1
    assert "cannot be put into force" in summary.read_text()
    repo.commit({path: "nothing: {}"})
    assert check().returncode == 1


async def test_the_command_line_says_what_git_manages(ground: Ground, repo: Repo, org: Org, api: Api) -> None:
    path = f"orgs/{org.name}/org.yaml"
    people = users((org.admin.email, "org-admin"), (org.user.email, "org-user"), (org.other.email, "org-user"))
    more = "  rate_limits: {user_concurrency: 5}\n  allowed_models:\n  alert_thresholds: [{percent: 90}]\n"
    repo.commit({path: policy(org.name, BUDGET.format(1000) + more + people)})
    ground.bind(org, repo)
    await ground.reconcile()
    token = org.admin.client.headers["authorization"].partition(" ")[2]
    admin = Api(api.process, {**api.env, "IAS_ACCESS_TOKEN": token, "IAS_API_URL": api.url})
    commands = {
        ("org", "show"): 3,
        ("org", "budget", "set", "--monthly-tokens", "7"): 6,
        ("org", "limits", "set", "--user-concurrency", "6"): 8,
        ("org", "models", "show"): 9,
        ("org", "thresholds", "show"): 10,
        ("user", "show", org.user.id): 11,
        ("user", "invite", f"x@{org.tag}.example.org"): 11,
    }
    for words, line in commands.items():
        done = admin.command("ias-admin", *words)
        assert done.returncode == 0, done.stderr
        assert f"managed by Git: {path}:{line} of" in done.stderr
        assert "what is changed here is put back" in done.stderr
    body = {"reason": "incident 7", "until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    good(ground.root.post(f"/organizations/{org.id}/gitops/suspend", json=body))
    assert "(incident 7)" in admin.command("ias-admin", "org", "show").stderr
