"""The demo: an organisation with an admin, a user, a key and its models, made through the API and kept."""

import subprocess
from collections.abc import Iterable

import httpx
import msgspec

from ias.dev import services
from ias.dev.fault import Fault
from ias.dev.portal import NO_CERTIFICATES, Named, Portal
from ias.dev.state import Folder, Person, State, save
from ias.dev.vllm import server

ORGANISATION = "demo-team"
MODEL = "mock-gpt"
TIMEOUT_S = 10.0


class NewOrganisation(msgspec.Struct):
    """POST /organizations."""

    name: str


class NewInvite(msgspec.Struct):
    """POST /users/invite; a system admin says into which organisation."""

    email: str
    role: str
    org_id: str


class Invited(msgspec.Struct):
    """The answer to it."""

    token: str


class Acceptance(msgspec.Struct):
    """POST /users/accept-invite."""

    token: str
    name: str
    password: str


class NewKey(msgspec.Struct):
    """POST /api-keys."""

    label: str


class Issued(msgspec.Struct):
    """The answer to it; the token is given once."""

    token: str


class Backend(msgspec.Struct):
    """A replica of a model."""

    url: str


class NewModel(msgspec.Struct):
    """POST /models; rates are money per 1,000 tokens."""

    name: str
    backends: list[Backend]
    input_rate: str = "0.0005"
    output_rate: str = "0.0015"
    cached_input_rate: str = "0.00025"
    context_length: int = 8192


class NewBackends(msgspec.Struct):
    """PATCH /models/{id}."""

    backends: list[Backend]


class Model(msgspec.Struct):
    """GET /models/{id}."""

    backends: list[Backend]


def models(state: State, *, real: bool) -> tuple[NewModel, ...]:
    """What the demo serves: the mock engine's model, and with `real` the one that vLLM serves."""
    mock = NewModel(MODEL, [Backend(state.url("engine"))])
    small = NewModel(server.MODEL, [Backend(state.url(server.NAME))], context_length=server.CONTEXT)
    return (mock, small) if real else (mock,)


def ensure(folder: Folder, state: State, env: dict[str, str], served: tuple[NewModel, ...]) -> None:
    """Make whatever of the demo is not there; a second call changes nothing.

    Raises:
        Fault: the API refuses something; the sentence says what.
    """
    portal = Portal(state.url("api"))
    try:
        _become_admin(portal, state, env)
        state.demo.org_id = _organisation(portal).id
        for model in served:
            _model(portal, model)
            state.demo.served[model.name] = model.backends[0].url
        for person, role in ((state.demo.org_admin, "org-admin"), (state.demo.org_user, "org-user")):
            _member(portal, state, person, role)
        if not _key_works(state, (MODEL,)):
            _log_in(portal, state.demo.org_user)
            state.demo.api_key = portal.send("POST", "/api-keys", NewKey("demo"), Issued).token
    finally:
        portal.close()
    save(folder, state)


def is_whole(state: State, served: tuple[NewModel, ...]) -> bool:
    """Whether key and models are there and each model's replica is where its engine listens now."""
    where = {model.name: model.backends[0].url for model in served}
    return bool(state.demo.org_id) and where.items() <= state.demo.served.items() and _key_works(state, where)


def _become_admin(portal: Portal, state: State, env: dict[str, str]) -> None:
    """The first system admin is the one thing that the API cannot make."""
    admin = state.demo.admin
    if portal.become(admin):
        return
    made = subprocess.run(  # noqa: S603 - the command is ours
        (services.program("ias-admin"), "bootstrap", "create-super-admin", "--email", admin.email),
        input=f"{admin.password}\n",
        env={**env, **services.environment(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise Fault(f"the system admin could not be made: {(made.stderr or made.stdout).strip()}")
    _log_in(portal, admin)


def _log_in(portal: Portal, person: Person) -> None:
    if not portal.become(person):
        raise Fault(f"{person.email} cannot log in with this checkout's password: run 'make clean', then 'make up'.")


def _organisation(portal: Portal) -> Named:
    return portal.find("/organizations", ORGANISATION) or portal.send(
        "POST", "/organizations", NewOrganisation(ORGANISATION), Named
    )


def _model(portal: Portal, wanted: NewModel) -> None:
    known = portal.find("/models", wanted.name)
    if known is None:
        portal.send("POST", "/models", wanted, Named)
    elif portal.get(f"/models/{known.id}", Model).backends != wanted.backends:
        portal.send("PATCH", f"/models/{known.id}", NewBackends(wanted.backends), Named)


def _member(portal: Portal, state: State, person: Person, role: str) -> None:
    """Invite and accept; somebody who can log in is a member already."""
    somebody = Portal(state.url("api"))
    try:
        if somebody.become(person):
            return
        invited = portal.send("POST", "/users/invite", NewInvite(person.email, role, state.demo.org_id), Invited)
        name = person.email.partition("@")[0].capitalize()
        somebody.send("POST", "/users/accept-invite", Acceptance(invited.token, name, person.password), object)
    finally:
        somebody.close()


def _key_works(state: State, names: Iterable[str]) -> bool:
    if not state.demo.api_key:
        return False
    try:
        answer = httpx.get(
            f"{state.url('gateway')}/v1/models",
            headers={"Authorization": f"Bearer {state.demo.api_key}"},
            timeout=TIMEOUT_S,
            verify=NO_CERTIFICATES,
            trust_env=False,
        )
    except httpx.HTTPError:
        return False
    return answer.is_success and all(f'"{name}"' in answer.text for name in names)
