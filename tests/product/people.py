"""People who use the product through its API: the first system admin, and organisations with their members."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
from openai import OpenAI

from tests.product.processes import Product

PASSWORD = "Correct-horse-7-battery!"
ADMIN = "admin@example.com"

_numbers = count(1)


@dataclass
class Person:
    """Somebody who is logged in."""

    product: Product
    email: str
    api: httpx.Client

    def get(self, path: str, **query: object) -> Any:
        """The answer of a GET that must succeed."""
        return _good(self.api.get(path, params=query)).json()

    def post(self, path: str, body: dict[str, object] | None = None) -> Any:
        """The answer of a POST that must succeed."""
        return _good(self.api.post(path, json=body or {})).json()

    def issue_key(self, label: str = "tests") -> dict[str, str]:
        """A fresh key: its id, and its token."""
        return self.post("/api-keys", {"label": label})

    def openai(self, token: str, **options: Any) -> OpenAI:
        """OpenAI's own client, given nothing but base URL and key."""
        return OpenAI(base_url=f"{self.product.gateway_url}/v1", api_key=token, **options)


@dataclass
class Org:
    """An organisation with an admin and a user."""

    id: str
    name: str
    admin: Person
    user: Person
    tag: str


def system_admin(product: Product) -> Person:
    """The first system admin, made by the bootstrap command where there is none yet."""
    made = product.ias("ias-admin", "bootstrap", "create-super-admin", f"--email={ADMIN}", stdin=f"{PASSWORD}\n")
    assert made.returncode in {0, 7}, made.stderr
    return login(product, ADMIN)


def login(product: Product, email: str, password: str = PASSWORD) -> Person:
    """Begin a session."""
    api = httpx.Client(base_url=f"{product.api_url}/api/v1", timeout=30)
    session = _good(api.post("/auth/login", json={"email": email, "password": password})).json()
    api.headers["authorization"] = f"Bearer {session['access_token']}"
    return Person(product, email, api)


def new_org(admin: Person, name: str | None = None) -> Org:
    """An organisation of its own for a test, with an org admin and an org user who accepted their invites."""
    name = name or f"team-{next(_numbers)}"
    made = admin.post("/organizations", {"name": name})
    people = []
    for role in ("org-admin", "org-user"):
        email = f"{role}@{name}.example.com"
        invite = admin.post("/users/invite", {"email": email, "role": role, "org_id": made["id"]})
        admin.post("/users/accept-invite", {"token": invite["token"], "name": role, "password": PASSWORD})
        people.append(login(admin.product, email))
    return Org(made["id"], name, *people, made["tag"])


def register_mock(admin: Person, name: str = "mock-gpt") -> None:
    """Register the mock engine's model, once."""
    known = {model["name"] for model in admin.get("/models")["items"]}
    if name not in known:
        admin.post("/models", {"name": name, "backends": [{"url": admin.product.engine_url}]})


def _good(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer
