"""Every command: a line that succeeds and as whom, who is denied, and lines that meet a conflict."""

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_member

NOBODY = "0190a3a0-0000-7000-8000-000000000000"
EXAMPLE = Path(__file__).parents[3] / "orgs/demo-team/org.yaml"
NEW_PASSWORD = "Another-horse-8-battery!"


@dataclass(frozen=True)
class Row:
    """Names in braces are those of `Place`.

    Attributes:
        line: what succeeds.
        who: as whom: `root`, `admin`, `user` or `spare`, who is somebody new.
        denied: who may not do it; nobody where it is empty.
        refused: what they are refused, of what they may see; `line` where it is empty.
        conflict: what ends with 7; nothing where it is empty.
        missing: whether ids that nothing has end with 5.
    """

    line: str
    who: str = "user"
    denied: str = ""
    refused: str = ""
    conflict: str = ""
    missing: bool = False
    stdin: str = ""


TABLE: dict[str, Row] = {
    "audit export": Row("--org {org} --source api --since 2026-01-01", "admin", denied="user", missing=True),
    "audit list": Row(
        "--org {org} --since 2026-01-01 --until 2100-01-01T00:00:00Z", "admin", denied="user", missing=True
    ),
    "audit show": Row("{entry}", "admin", denied="user", missing=True),
    "audit verify": Row("--org {org}", "admin", denied="user", missing=True),
    "doctor": Row(""),
    "key change": Row("{key} --all-models --monthly-tokens 5_000", missing=True, conflict="{revoked_key} --all-models"),
    "gitops disable": Row("{bound_org} --yes", "root", denied="admin", missing=True),
    "gitops drift": Row("{org}", "admin", denied="user", missing=True),
    "gitops enable": Row(
        "https://git.example.org/x.git --org {spare_org}",
        "root",
        denied="admin",
        missing=True,
        refused="https://git.example.org/x.git --org {org}",
    ),
    "gitops history": Row("{org}", "admin", denied="user", missing=True),
    "gitops plan": Row("{policy} --org {org}", "admin", denied="user", missing=True),
    "gitops replay": Row("{policy} --org {org} --days 3", "admin", denied="user", missing=True),
    "gitops resume": Row("{bound_org}", "root", denied="admin", missing=True),
    "gitops status": Row("{bound_org}", "root", denied="user", missing=True),
    "gitops suspend": Row("{bound_org} --reason x --for 2h", "root", denied="admin", missing=True),
    "gitops sync": Row("{bound_org}", "root", denied="user", missing=True),
    "key create": Row("laptop --expires 2100-01-01 --monthly-tokens 1_000", denied="root"),
    "key list": Row("--user {user}"),
    "key revoke": Row("{key} --yes", missing=True),
    "key rotate": Row("{key} --grace 60", denied="root", missing=True, conflict="{revoked_key}"),
    "key show": Row("{key}", missing=True),
    "ledger lines": Row("--org {org} --request {request} --limit 5", missing=True),
    "me limits": Row(""),
    "me rename": Row("Somebody", "spare"),
    "me show": Row(""),
    "model announce-rate": Row(
        "{model} --input-rate 0.5 --output-rate 1.25 --from 2100-01-01",
        "root",
        denied="admin",
        missing=True,
        conflict="{rated_model} --input-rate 1 --output-rate 1 --from 2100-01-01",
    ),
    "model callers": Row("{model}", "root", denied="admin", missing=True),
    "model create": Row(
        "{name} --backend http://llama.example.org:8000 --context-length 4096 --input-rate 0.1 --disabled",
        "root",
        denied="admin",
        conflict="{model_name} --backend http://llama.example.org:8000",
    ),
    "model delete": Row("{model} --yes", "root", denied="admin", missing=True),
    "model list": Row(""),
    "model rates": Row("{model}", missing=True),
    "model replicas": Row("{model}", "root", denied="admin", missing=True),
    "model show": Row("{model}", missing=True),
    "model update": Row("{model} --max-output-tokens 100 --enabled", "root", denied="admin", missing=True),
    "model withdraw-rate": Row("{rated_model_and_rate}", "root", denied="admin", missing=True, conflict="{begun_rate}"),
    "org acknowledge": Row("{alert} --org {org}", "admin", denied="user", missing=True),
    "org alerts": Row("{org} --month 2026-01", missing=True),
    "org budget set": Row(
        "{org} --monthly-tokens 1_000_000 --user-monthly-tokens none", "admin", denied="user", missing=True
    ),
    "org budget show": Row("", "admin"),
    "org create": Row("{name}", "root", denied="admin", conflict="'{org_name}'"),
    "org delete": Row("{spare_org} --yes", "root", denied="admin", refused="{org} --yes", missing=True),
    "org limits set": Row("{org} --user-concurrency 7 --max-output-tokens none", "admin", denied="user", missing=True),
    "org limits show": Row("{org}", missing=True),
    "org list": Row(""),
    "org models set": Row("{org} --every", "admin", denied="user", missing=True),
    "org models show": Row("{org}", missing=True),
    "org rename": Row(
        "{spare_org} {name}",
        "root",
        denied="admin",
        refused="{org} {name}",
        missing=True,
        conflict="{spare_org} '{org_name}'",
    ),
    "org resume": Row("{spare_org}", "root", denied="admin", refused="{org}", missing=True),
    "org show": Row("{org}", missing=True),
    "org spend": Row("{org} --month 2026-01 --group-by key", missing=True),
    "org suspend": Row("{spare_org} --yes", "root", denied="admin", refused="{org} --yes", missing=True),
    "org thresholds set": Row("{org} --at 50 --at 80", "admin", denied="user", missing=True),
    "org thresholds show": Row("{org}", missing=True),
    "password": Row("", "spare", stdin=f"{PASSWORD}\n{NEW_PASSWORD}\n"),
    "usage keys": Row("{org} --from 2026-01-01 --to 2026-02-01", missing=True),
    "usage models": Row("{org} --sort change --limit 5", missing=True),
    "usage orgs": Row("--sort failed", "root", denied="admin"),
    "usage platform": Row("--group-by model --group-by day --timezone Europe/Berlin", "root", denied="admin"),
    "usage platform-models": Row("", "root", denied="admin"),
    "usage reconcile": Row("--from 2026-01-01 --to 2026-02-01", "root", denied="admin"),
    "usage requests": Row("--org {org} --errors --status 500 --slower-than-ms 100 --outcome cut", missing=True),
    "usage show": Row(
        "{org} --group-by model --group-by day --from 2026-01-01 --to 2026-02-01 --timezone Europe/Berlin --model m"
        " --user {user} --key {key}",
        missing=True,
    ),
    "usage trace": Row("{traced}", "root", missing=True),
    "usage users": Row("{org}", missing=True),
    "user budget set": Row("{user} --monthly-tokens 5000", "admin", denied="user", missing=True),
    "user budget show": Row("{user}", missing=True),
    "user change": Row(
        "{spare_user} --name New --role org-user",
        "admin",
        denied="user",
        missing=True,
        conflict="{admin} --role org-user",
    ),
    "user delete": Row("{spare_user} --yes", "admin", denied="user", missing=True, conflict="{admin} --yes"),
    "user invite": Row("{email} --role org-admin", "admin", denied="user", conflict="{user_email}"),
    "user invites": Row("--org {org}", "admin", denied="user", missing=True),
    "user list": Row("--org {org}", "admin", denied="user", missing=True),
    "user reset-password": Row("{spare_user}", "root", denied="admin", missing=True, stdin=f"{NEW_PASSWORD}\n"),
    "user resume": Row("{spare_user}", "admin", denied="user", missing=True),
    "user show": Row("{spare_user}", "admin", denied="user", missing=True),
    "user suspend": Row("{spare_user} --yes", "admin", denied="user", missing=True, conflict="{admin} --yes"),
    "user withdraw": Row("{invite}", "admin", denied="user", missing=True),
    "whoami": Row(""),
}
APART = {
    "gitops approve": "needs a commit that is held; test_cli.py of gitops shows it",
    "gitops diff": "needs a policy that was read, likewise",
    "gitops schema": "asks nobody",
    "gitops validate": "asks nobody; test_cli.py of gitops shows it",
    "bootstrap create-super-admin": "works on the database; tests of it are in test_bootstrap.py",
    "completion": "asks nobody",
    "login": "begins the session that the others need",
    "logout": "ends where the API is away, too",
    "manual": "asks nobody",
    "model test": "needs a gateway and engines; tests of it are in test_trial.py",
}


class Place:
    """What the lines name, made when they name it; what a command uses up is new each time."""

    def __init__(self, root: httpx.Client, org: Org, alert: str, api: Api) -> None:
        self.root, self.whole, self.api = root, org, api
        self.kept = {
            "org": org.id,
            "org_name": org.name,
            "admin": org.admin.id,
            "user": org.user.id,
            "user_email": org.user.email,
            "alert": alert,
            "request": NOBODY,
            "traced": alert,
        }

    def __getitem__(self, name: str) -> str:
        kept = self.kept.get(name)
        return kept if kept is not None else getattr(self, f"new_{name}")()

    def new_name(self) -> str:
        return f"name-{uuid4().hex}"

    def new_email(self) -> str:
        return f"{uuid4().hex}@example.org"

    def new_spare_org(self) -> str:
        return good(self.root.post("/organizations", json={"name": self.new_name()}))["id"]

    def new_spare_user(self) -> str:
        return new_member(self.api, self.whole.admin.client, self.whole.id).id

    def new_invite(self) -> str:
        return good(self.whole.admin.client.post("/users/invite", json={"email": self.new_email()}))["id"]

    def new_key(self) -> str:
        return self.whole.user.key()["id"]

    def new_revoked_key(self) -> str:
        key = self.new_key()
        good(self.whole.user.client.delete(f"/api-keys/{key}"))
        return key

    def new_entry(self) -> str:
        return good(self.whole.admin.client.get("/audit-logs"))["items"][0]["id"]

    def _model(self) -> dict[str, str]:
        backends = [{"url": "http://llama.example.org:8000"}]
        return good(self.root.post("/models", json={"name": self.new_name(), "backends": backends}))

    def new_model(self) -> str:
        return self._model()["id"]

    def new_model_name(self) -> str:
        return self._model()["name"]

    def new_rated_model(self) -> str:
        return self.new_rated_model_and_rate().split()[0]

    def new_rated_model_and_rate(self) -> str:
        model = self.new_model()
        rate = {"input_rate": "1", "output_rate": "1", "valid_from": "2100-01-01T00:00:00Z"}
        return f"{model} {good(self.root.post(f'/models/{model}/rates', json=rate))['id']}"

    def new_bound_org(self) -> str:
        asked = {"repository": "https://git.example.org/x.git"}
        return good(self.root.post(f"/organizations/{self.whole.id}/gitops/enable", json=asked))["org_id"]

    def new_policy(self) -> str:
        file = Path(tempfile.mkdtemp()) / "org.yaml"
        head = "apiVersion: ias.linode.com/v1\nkind: Organization\n"
        file.write_text(f"{head}metadata: {{name: {self.whole.name}}}\nspec: {{}}\n")
        return str(file)

    def new_begun_rate(self) -> str:
        model = self.new_model()
        return f"{model} {good(self.root.get(f'/models/{model}/rates'))['items'][0]['id']}"

    def line(self, name: str, line: str) -> list[str]:
        """The words of a command."""
        return [*name.split(), *shlex.split(line.format_map(self))]


class Nowhere(dict[str, str]):
    """Ids that nothing has."""

    def __missing__(self, name: str) -> str:
        if name == "rated_model_and_rate":
            return f"{NOBODY} {NOBODY}"
        return {"name": "x", "email": "x@example.org", "policy": str(EXAMPLE)}.get(name, NOBODY)


def nowhere(name: str, line: str) -> list[str]:
    """The words of a command about what is not there."""
    return [*name.split(), *shlex.split(line.format_map(Nowhere()))]
