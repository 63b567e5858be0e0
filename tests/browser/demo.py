"""A platform that has been in use for weeks: what pages show, in tests that look at all of them and in pictures."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.browser.past import Caller, take_in
from tests.integration.gitops.repos import Repo, policy, users
from tests.product import Person
from tests.product.people import PASSWORD, login

MODELS = {
    "mock-gpt": ("0.0005", "0.0015"),
    "llama-3.3-70b": ("0.0009", "0.0028"),
    "qwen3-coder-30b": ("0.0004", "0.0012"),
}
WITHIN_S = 60.0
HELLO = [{"role": "user", "content": "What is the capital of France?"}]


@dataclass(frozen=True)
class Team:
    """An organisation of the demo, its people by their first names, and their keys' tokens."""

    id: str
    name: str
    people: Mapping[str, Person]
    tokens: Mapping[str, str]

    @property
    def admin(self) -> Person:
        return next(iter(self.people.values()))

    @property
    def user(self) -> Person:
        return list(self.people.values())[1]


@dataclass(frozen=True)
class Demo:
    """The organisations: one in full use, one near the end of its budget, a suspended one, one that Git manages."""

    operator: Person
    lab: Team
    support: Team
    closed: Team
    managed: Team
    fresh: Team


def demo(operator: Person, repositories: Path, folder: Path) -> Demo:
    """Make it, through the API; only what lies in the past comes from `past`."""
    models = {name: _model(operator, name) for name in MODELS}
    lab = _team(
        operator,
        "research-lab",
        {
            "Ada Lovelace": ("Notebook", "Nightly evaluation"),
            "Grace Hopper": ("Compiler bot",),
            "Alan Turing": ("Chat prototype",),
        },
    )
    support = _team(
        operator, "customer-support", {"Edsger Dijkstra": ("Help desk",), "Barbara Liskov": ("Mail triage",)}
    )
    closed = _team(operator, "old-intranet", {"Konrad Zuse": ("Search",), "Lynn Conway": ("Wiki",)})
    managed = _team(
        operator, "platform-team", {"Margaret Hamilton": ("Release notes",), "Dennis Ritchie": ("Code review",)}
    )
    fresh = _team(operator, "new-team", {"Radia Perlman": (), "Vint Cerf": ()})
    take_in(operator.product, _callers(models, (lab, support, closed, managed)), folder)
    for team, room in ((lab, 1.6), (support, 1.04), (managed, 4.0)):
        _rules(operator, team, room)
    for team in (lab, support, managed):
        for token in team.tokens.values():
            team.user.openai(token).chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=60)
    lab.admin.post("/users/invite", {"email": "katherine@example.com", "role": "org-user"})
    _bind(operator, managed, repositories)
    operator.post(f"/organizations/{closed.id}/suspend")
    return Demo(operator, lab, support, closed, managed, fresh)


def _model(operator: Person, name: str) -> str:
    """Its id; all of them are the mock engine's one model."""
    known = {model["name"]: model["id"] for model in operator.get("/models")["items"]}
    rates = dict(zip(("input_rate", "output_rate"), MODELS[name], strict=True))
    backends = [{"url": operator.product.engine_url}]
    if name in known:
        operator.post(f"/models/{known[name]}/rates", dict(rates))
        return known[name]
    made = operator.post("/models", {"name": name, "upstream_name": "mock-gpt", "backends": backends, **rates})
    return made["id"]


def _team(operator: Person, name: str, people: Mapping[str, tuple[str, ...]]) -> Team:
    """The first one is its admin."""
    made = operator.post("/organizations", {"name": name})
    there, tokens = {}, {}
    for number, (whole, labels) in enumerate(people.items()):
        email = f"{whole.split()[0].lower()}@example.com"
        role = "org-user" if number else "org-admin"
        invite = operator.post("/users/invite", {"email": email, "role": role, "org_id": made["id"]})
        operator.post("/users/accept-invite", {"token": invite["token"], "name": whole, "password": PASSWORD})
        there[whole.split()[0]] = person = login(operator.product, email)
        for label in labels:
            tokens[label] = person.issue_key(label)["token"]
    return Team(made["id"], name, there, tokens)


def _callers(models: Mapping[str, str], teams: tuple[Team, ...]) -> list[Caller]:
    callers = []
    for team in teams:
        keys = team.admin.get("/api-keys")["items"]
        for number, key in enumerate(sorted(keys, key=lambda key: key["created_at"])):
            for place, (name, model_id) in enumerate(models.items()):
                daily = (9.0, 5.0, 3.0)[(place + number) % 3]
                callers.append(Caller(team.id, key["user_id"], key["id"], (name, model_id), daily))
    return callers


def _rules(operator: Person, team: Team, room: float) -> None:
    """A budget that is a share of what was used already, and limits."""
    here = f"/organizations/{team.id}"
    used = operator.get(f"{here}/budget")["used_tokens"]
    budget = {"monthly_tokens": round(used * room), "user_monthly_tokens": used}
    limits = {"requests_per_second": 20, "tokens_per_minute": 200_000, "concurrency": 16}
    operator.api.patch(f"{here}/budget", json=budget).raise_for_status()
    operator.api.put(f"{here}/limits", json=limits).raise_for_status()
    team.admin.api.put(f"{here}/alert-thresholds", json={"thresholds": [50, 80, 100]}).raise_for_status()


def _bind(operator: Person, team: Team, repositories: Path) -> None:
    """Git manages its budget, limits and members; then its admin changes one of them by hand, and Git takes it back."""
    repo = Repo(repositories / "policies")
    people = users(*((person.email, "org-user" if n else "org-admin") for n, person in enumerate(team.people.values())))
    spec = "  budgets:\n    monthly_tokens: {}\n    user_monthly_tokens: 1500000\n  alert_thresholds: [percent: 80]\n"
    about = "  description: Builds what the others build with.\n  cost_center: '4711'\n  tags: {tier: gold}\n"
    for number, message in (
        (2_000_000, "The platform team begins"),
        (2_200_000, "200,000 tokens more for the release"),
    ):
        whole = policy(team.name, spec.format(number) + people, about)
        repo.commit({f"orgs/{team.name}/org.yaml": whole}, message)
    bind(operator, team.id, repo)
    team.admin.api.patch(f"/organizations/{team.id}/budget", json={"monthly_tokens": 2_100_000}).raise_for_status()
    eventually(lambda: team.admin.get(f"/organizations/{team.id}/gitops/drift")["items"], "the drift is noted")


def bind(operator: Person, org_id: str, repo: Repo) -> None:
    """Have Git manage an organisation, and wait until its file is in force."""
    here = f"/organizations/{org_id}/gitops"
    operator.post(f"{here}/enable", {"repository": str(repo.folder)})
    eventually(lambda: operator.get(f"{here}/status")["applied_commit"] == repo.head, "the file is in force")


def eventually(look: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    until = time.monotonic() + WITHIN_S
    while not look():
        assert time.monotonic() < until, f"not within {WITHIN_S} s: {what}"
        time.sleep(0.1)


def in_hours(hours: float) -> str:
    """That moment, as the API takes it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
