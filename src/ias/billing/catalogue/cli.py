"""`ias-admin model` and `org models`: which models there are, what they cost, and who may call which."""

from collections.abc import Callable
from typing import ParamSpec
from uuid import UUID

import rich_click as click

from ias.billing.catalogue.diagnosis import ModelTest
from ias.billing.catalogue.domain import AccessInForce, Model, ModelAccess, ModelChanges, NewModel
from ias.billing.catalogue.prices import ModelRate, NewRate
from ias.billing.catalogue.told import Callers, ReplicaSeen, ReplicasSeen
from ias.terminal.arguments import body, changes, given, moment, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.exits import Exit, end
from ias.terminal.managed import say_managed
from ias.terminal.output import say
from ias.terminal.progress import waiting

COLUMNS = ("id", "name", "enabled", "context_length", "max_output_tokens", "input_rate", "output_rate")
RATE_COLUMNS = ("id", "valid_from", "valid_until", "input_rate", "output_rate", "cached_input_rate")
TEST_COLUMNS = ("what", "state", "found", "mend")
RATES = {
    "input": "Money per 1,000 prompt tokens.",
    "output": "Money per 1,000 completion tokens.",
    "cached-input": "Money per 1,000 prompt tokens that the engine had cached; as others where left out.",
}
LENGTHS = {
    "context-length": "Tokens that prompt and output share.",
    "max-output-tokens": "Tokens that an output has at most.",
    "image-tokens": "Tokens that an image is held as until they are known; 0 takes no images.",
    "prompt-overhead": "Tokens that the template adds to a prompt by itself, at most.",
}

OptionsP = ParamSpec("OptionsP")


def _rate_options(work: Callable[OptionsP, None]) -> Callable[OptionsP, None]:
    for name, said in reversed(RATES.items()):
        work = click.option(f"--{name}-rate", help=said, metavar="MONEY")(work)
    return work


def _model_options(work: Callable[OptionsP, None]) -> Callable[OptionsP, None]:
    """What can be said of a model, at first and later."""
    work = _rate_options(work)
    for name, said in reversed(LENGTHS.items()):
        work = click.option(f"--{name}", type=int, help=said)(work)
    for option in (
        click.option("--tenant-salt/--no-tenant-salt", default=None, help="Whether organisations share no cache."),
        click.option("--enabled/--disabled", default=None, help="Whether it may be called."),
        click.option("--upstream-name", help="What its engines call it; the same name where left out."),
        click.option("--backend", "backends", multiple=True, help="An engine's base URL; give it several times."),
    ):
        work = option(work)
    return work


@click.group()
def model() -> None:
    """Models: those that you may call; all, for system admins."""


@model.command("list")
@command
def listed(terminal: Terminal) -> None:
    """Models that you may see."""
    terminal.show_listed("/models", Model, None, *COLUMNS)


@model.command()
@click.argument("model_id", type=click.UUID)
@command
def show(terminal: Terminal, model_id: UUID) -> None:
    """One model."""
    terminal.show(terminal.client.get(f"/models/{model_id}", Model), *COLUMNS, "backends")


@model.command()
@click.argument("name")
@_model_options
@command
def create(terminal: Terminal, /, **options: object) -> None:
    """Register a model."""
    if not options["backends"]:
        raise click.UsageError("say where its engines are: --backend http://llama.inference:8000")
    asked = body(_with_backends(options), NewModel)
    if not terminal.would("POST", "/models", asked):
        terminal.show(terminal.client.send("POST", "/models", asked, Model), *COLUMNS)


@model.command()
@click.argument("model_id", type=click.UUID)
@_model_options
@command
def update(terminal: Terminal, /, model_id: UUID, **options: object) -> None:
    """Change a model; what is left out stays. New rates hold for requests that start from now on."""
    asked, path = changes(_with_backends(options), ModelChanges), f"/models/{model_id}"
    if not terminal.would("PATCH", path, asked):
        terminal.show(terminal.client.send("PATCH", path, asked, Model), *COLUMNS)


@model.command()
@click.argument("model_id", type=click.UUID)
@command
def delete(terminal: Terminal, model_id: UUID) -> None:
    """Remove a model; its ledger lines stay."""
    path = f"/models/{model_id}"
    terminal.sure(f"remove model {model_id}, so that nobody can call it")
    if not terminal.would("DELETE", path):
        terminal.client.do("DELETE", path)
        say("the model is removed")


@model.command()
@click.argument("model_id", type=click.UUID)
@command
def test(terminal: Terminal, model_id: UUID) -> None:
    """Try every replica of a model as a gateway reaches it; ends with 1 where something is wrong."""
    path = f"/models/{model_id}/test"
    if terminal.would("POST", path):
        return
    with waiting("a gateway tries every replica"):
        tried = terminal.client.send("POST", path, None, ModelTest)
    terminal.show_parts(tried, _tested(tried), *TEST_COLUMNS)
    well = sum(replica.ok for replica in tried.replicas)
    said = f"{well} of {len(tried.replicas)} replicas serve {tried.name} as they should, as {tried.gateway} sees them"
    if not tried.ok:
        end(said, Exit.ERROR)
    say(said)


@model.command()
@click.argument("model_id", type=click.UUID)
@command
def replicas(terminal: Terminal, model_id: UUID) -> None:
    """The engines of a model as gateways last saw them, and what these have counted."""
    found = terminal.client.get(f"/models/{model_id}/replicas", ReplicasSeen)
    terminal.show_items(found, found.items, *ReplicaSeen.__struct_fields__)


@model.command()
@click.argument("model_id", type=click.UUID)
@command
def callers(terminal: Terminal, model_id: UUID) -> None:
    """Who may call a model, and who did since yesterday: what disabling it would stop."""
    found = terminal.client.get(f"/models/{model_id}/callers", Callers)
    terminal.show_items(found, found.listed, "id", "name")
    say(f"besides these, {found.unlisted} organisations may call every model")
    say(f"since yesterday {found.organisations} organisations called it {found.requests} times with {found.keys} keys")


@model.command()
@click.argument("model_id", type=click.UUID)
@command
def rates(terminal: Terminal, model_id: UUID) -> None:
    """What a model costs, cost and will cost."""
    terminal.show_listed(f"/models/{model_id}/rates", ModelRate, None, *RATE_COLUMNS)


@model.command("announce-rate")
@click.argument("model_id", type=click.UUID)
@_rate_options
@click.option("--from", "valid_from", type=moment, help="When it begins; now where left out.")
@command
def announce_rate(terminal: Terminal, /, model_id: UUID, **options: object) -> None:
    """Say what a model is to cost, from now or from a moment to come."""
    asked, path = body(options, NewRate), f"/models/{model_id}/rates"
    if not terminal.would("POST", path, asked):
        terminal.show(terminal.client.send("POST", path, asked, ModelRate), *RATE_COLUMNS)


@model.command("withdraw-rate")
@click.argument("model_id", type=click.UUID)
@click.argument("rate_id", type=click.UUID)
@command
def withdraw_rate(terminal: Terminal, model_id: UUID, rate_id: UUID) -> None:
    """Take back a rate that has not begun."""
    path = f"/models/{model_id}/rates/{rate_id}"
    if not terminal.would("DELETE", path):
        terminal.client.do("DELETE", path)
        say("the rate is withdrawn")


@click.group()
def models() -> None:
    """Which models an organisation may call."""


@models.command("show")
@org_argument
@command
def show_access(terminal: Terminal, org_id: UUID | None) -> None:
    """The names of the models."""
    path = f"/organizations/{terminal.org(org_id)}/allowed-models"
    _show_access(terminal, terminal.client.get(path, AccessInForce))


@models.command("set")
@org_argument
@click.option("--model", "names", multiple=True, help="A model that it may call; give it several times.")
@click.option("--every", is_flag=True, help="It may call every model, also those to come.")
@click.option("--no-model", is_flag=True, help="It may call none.")
@command
def set_access(terminal: Terminal, org_id: UUID | None, names: tuple[str, ...], *, every: bool, no_model: bool) -> None:
    """Replace the models that an organisation may call."""
    if bool(names) + every + no_model != 1:
        raise click.UsageError("say which: --model NAME for each, or --every, or --no-model")
    path = f"/organizations/{terminal.org(org_id)}/allowed-models"
    asked = ModelAccess(models=None if every else list(names))
    if not terminal.would("PUT", path, asked):
        _show_access(terminal, terminal.client.send("PUT", path, asked, AccessInForce))


def _show_access(terminal: Terminal, access: AccessInForce) -> None:
    terminal.show(access, "models")
    if not access.models:
        say("it may call every model, also those to come" if access.models is None else "it may call no model")
    say_managed(access.managed_by, "allowed_models")


def _tested(tried: ModelTest) -> dict[str, list[object]]:
    """The checks of each replica."""
    return {replica.url: list(replica.checks) for replica in tried.replicas}


def _with_backends(options: dict[str, object]) -> dict[str, object]:
    urls = options.pop("backends")
    return given(options) | ({"backends": [{"url": url} for url in urls]} if isinstance(urls, tuple) and urls else {})
