"""What the charts are told: variables that exist, secrets in Secrets alone, values that are known and explained."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic_settings import BaseSettings
from ruamel.yaml import YAML

from ias.settings import Settings
from ias_gateway.settings import GatewaySettings
from tests.ship.charts import (
    ENVIRONMENTS,
    IMAGE,
    MODELS,
    RELEASES,
    ROOT,
    WORKLOADS,
    component,
    containers,
    name_of,
    objects,
    pod,
    releases,
    rendered,
    secret_variables,
    text_of,
    variables,
)

Thing = dict[str, Any]

# Whoever knows one of these may act as us.
SECRETS = {
    "IAS_DATABASE_URL",
    "IAS_MIGRATION_DATABASE_URL",
    "IAS_REDIS_URL",
    "IAS_AMQP_URL",
    "IAS_AMQP_MANAGEMENT_URL",
    "IAS_JWT_SECRET",
    "IAS_GITOPS_WEBHOOK_SECRET",
    "IAS_CACHE_SALT_SECRET",
}
# Variables that no value of the chart sets, with the reason.
LEFT_OUT = {
    "IAS_CRASHPOINT": "kills the process, for tests of faults",
    "IAS_GATEWAY_NAME": "unlike any other that runs: the pod's name and some letters, by itself",
    "IAS_MIGRATIONS_DIR": "they are in the image",
    "IAS_GITOPS_LOCAL": "there are no repositories in a pod's folders",
    "IAS_GITOPS_CA_FILE": "the system's are used; an image that needs others brings them",
    "IAS_PLAIN_COOKIES": "the console is behind TLS",
}
EXAMPLES = {
    "IAS_DATABASE_URL": "postgresql://api:x@db/ias",
    "IAS_MIGRATION_DATABASE_URL": "postgresql://owner:x@db/ias",
    "IAS_REDIS_URL": "redis://gateway:x@redis:6379",
    "IAS_AMQP_URL": "amqp://ias:x@mq/",
    "IAS_AMQP_MANAGEMENT_URL": "http://mq:15672",
}
ANY_SECRET = "0123456789abcdef" * 4


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_process_starts_with_what_it_is_told(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for workload, container in containers(environment):
        whole = variables(container) | {name: EXAMPLES.get(name, ANY_SECRET) for name in secret_variables(container)}
        with monkeypatch.context() as surroundings:
            for name, value in whole.items():
                surroundings.setenv(name, value)
            told = settings_of(workload)()
        assert set(whole) <= known(settings_of(workload))
        assert {name.removeprefix("IAS_").lower() for name in whole} == told.model_fields_set


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_process_has_the_secrets_that_it_needs_and_no_other(environment: str) -> None:
    monolith = {"IAS_DATABASE_URL", "IAS_REDIS_URL", "IAS_JWT_SECRET"}
    broker = {"IAS_AMQP_URL", "IAS_AMQP_MANAGEMENT_URL"}
    webhook = {"IAS_GITOPS_WEBHOOK_SECRET"} if environment != "dev" else set()
    wanted = {
        "gateway": {"IAS_REDIS_URL", "IAS_CACHE_SALT_SECRET"},
        "api": monolith | webhook,
        "worker": monolith | broker,
        "worker-ledger": monolith | broker,
        "worker-usage": monolith | broker,
        "migrations": monolith | {"IAS_MIGRATION_DATABASE_URL"},
    }
    for workload, container in containers(environment):
        taken = secret_variables(container)
        assert set(taken) == wanted[component(workload)]
        assert {secret for secret, _ in taken.values()} == {f"ias-{component(workload).split('-')[0]}"}
        assert all(key == name for name, (_, key) in taken.items())


@pytest.mark.parametrize("release", RELEASES)
def test_no_secret_is_written_down(release: str) -> None:
    assert objects(release, "Secret") == []
    for _, container in containers(release):
        assert not variables(container).keys() & (SECRETS | {"HF_TOKEN"})
    written = [text for thing in objects(release) if thing["kind"] != "ConfigMap" for text in texts(thing)]
    assert [
        text for text in written if re.search(r"://[^/\s]*:[^/\s]*@|hf_[A-Za-z0-9]{10}|BEGIN [A-Z ]*KEY", text)
    ] == []


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_external_secrets_make_what_the_pods_take(environment: str) -> None:
    made = {name_of(thing): thing["spec"] for thing in objects(environment, "ExternalSecret")}
    taken: dict[str, set[str]] = {}
    for _, container in containers(environment):
        for secret, key in secret_variables(container).values():
            taken.setdefault(secret, set()).add(key)
    assert {name: {one["secretKey"] for one in spec["data"]} for name, spec in made.items()} == taken
    for name, spec in made.items():
        assert spec["target"]["name"] == name
        for one in spec["data"]:
            wanted = {"key": f"ias/{environment}/{name.removeprefix('ias-')}", "property": one["secretKey"]}
            assert one["remoteRef"] == wanted


def test_every_setting_of_a_process_is_set_by_the_chart_or_can_be() -> None:
    offered = {name: set(process["properties"]["settings"]["properties"]) for name, process in processes().items()}
    told: dict[str, set[str]] = {}
    for workload, container in containers("production"):
        kind = component(workload).split("-")[0]
        told.setdefault(kind, set()).update(variables(container), secret_variables(container))
    given = YAML(typ="safe", pure=True).load(text_of("charts/ias/values-production.yaml"))
    assert all(offered[name] & told[name] == given[name].get("settings", {}).keys() for name in offered)
    assert offered["gateway"] | told["gateway"] | LEFT_OUT.keys() >= known(GatewaySettings)
    monolith = offered["api"] | offered["worker"] | told["api"] | told["worker"] | told["migrations"]
    assert monolith | LEFT_OUT.keys() >= known(Settings)
    assert offered["gateway"] <= known(GatewaySettings)
    assert offered["api"] | offered["worker"] <= known(Settings)


def test_where_workers_are_split_each_queue_has_its_own() -> None:
    apart = {variables(c)["IAS_WORKER_CONSUMES"] for w, c in containers("production") if "worker" in component(w)}
    together = {variables(c)["IAS_WORKER_CONSUMES"] for w, c in containers("staging") if "worker" in component(w)}
    assert (apart, together) == ({"ledger", "usage"}, {"both"})


REFUSED = {
    "a name that there is not": ("ias", {"gatway": {"replicas": 2}}, "gatway"),
    "a setting that there is not": ("ias", {"gateway": {"settings": {"IAS_MAX_STREAM": "9"}}}, "IAS_MAX_STREAM"),
    "a setting of another process": ("ias", {"api": {"settings": {"IAS_MAX_STREAMS": "9"}}}, "IAS_MAX_STREAMS"),
    "a secret among the settings": ("ias", {"api": {"settings": {"IAS_JWT_SECRET": "x"}}}, "IAS_JWT_SECRET"),
    "a number as a setting": ("ias", {"gateway": {"settings": {"IAS_MAX_STREAMS": 500}}}, "want string"),
    "a word for a number": ("ias", {"gateway": {"drainSeconds": "long"}}, "/gateway/drainSeconds"),
    "no replica": ("ias", {"api": {"replicas": 0}}, "/api/replicas"),
    "whatever is newest": ("ias", {"image": {"tag": "latest"}}, "image.tag: name a release"),
    "a host with a scheme": ("ias", {"hosts": {"gateway": "https://a.example"}}, "/hosts/gateway"),
    "everybody as a peer": ("ias", {"network": {"redis": {"peers": []}}}, "/network/redis/peers"),
    "a peer that says nothing": ("ias", {"network": {"redis": {"peers": [{}]}}}, "/network/redis/peers/0"),
    "a proxy less patient than the gateway": ("ias", {"ingress": {"timeoutSeconds": 900}}, "must be above the 900 s"),
    "no name of a store": ("ias", {"externalSecrets": {"enabled": True}}, "externalSecrets.store.name"),
    "a scale the wrong way round": ("ias", {"gateway": {"autoscaling": {"minReplicas": 9}}}, "minReplicas is above"),
    "no model": ("vllm", {}, "/model/name"),
    "an argument that the chart gives": (
        "vllm",
        {"model": {"name": "a/b", "servedName": "b", "args": ["--port=1"]}},
        "--port=1 is set by the chart",
    ),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Thing]:
    asked = {what: {"chart": f"charts/{chart}", "given": given} for what, (chart, given, _) in REFUSED.items()}
    return dict(rendered(asked))


@pytest.mark.parametrize("what", REFUSED)
def test_a_value_that_cannot_be_meant_is_refused_by_name(what: str, answers: dict[str, Thing]) -> None:
    assert REFUSED[what][2] in answers[what].get("error", "it was taken")


@pytest.mark.parametrize("chart", ["ias", "vllm"])
def test_the_readme_lists_every_value_with_its_default(chart: str) -> None:
    table = text_of(f"charts/{chart}/README.md").split("## Values\n")[1]
    rows = re.findall(r"^\| `([^`]+)` \| (`.*?`|see values.yaml) \|", table, re.MULTILINE)
    values = YAML(typ="safe", pure=True).load(text_of(f"charts/{chart}/values.yaml"))
    assert rows == [(path, shown(value)) for path, value in leaves(values)]


@pytest.mark.parametrize("release", RELEASES)
def test_the_notes_say_what_to_do_next(release: str) -> None:
    notes = releases()[release]["notes"]
    if release in MODELS:
        name = release.replace(".", "-")
        assert f"--backend http://{name}-0.{name}.models.svc:8000" in notes
        assert f"ias-admin model create {release} " in notes
    else:
        assert "ias-admin bootstrap create-super-admin" in notes
        (gateway,) = (door for door in objects(release, "Ingress") if name_of(door) == "ias-gateway")
        assert f"https://{gateway['spec']['rules'][0]['host']}/v1" in notes
        assert "WARNING" not in notes


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_names_its_images_by_one_key(environment: str) -> None:
    assert_one_tag(text_of(f"charts/ias/values-{environment}.yaml"))


@pytest.mark.parametrize("tag", ["0.2.0", "main-0123456789ab", "1234567"])
def test_what_a_delivery_writes_is_one_key_and_what_every_container_runs(tag: str, tmp_path: Path) -> None:
    (tmp_path / "charts/ias").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/set-image-tag", tmp_path / "scripts")
    files = {name: f"charts/ias/values-{name}.yaml" for name in ENVIRONMENTS}
    for environment, file in files.items():
        shutil.copy(ROOT / file, tmp_path / file)
        subprocess.run([tmp_path / "scripts/set-image-tag", environment, tag], check=True, timeout=20)
        assert_one_tag((tmp_path / file).read_text())
    asked = {name: {"chart": "charts/ias", "values": [str(tmp_path / file)]} for name, file in files.items()}
    for answer in rendered(asked).values():
        assert {image.rpartition(":")[2] for image in images(answer)} == {tag}


def test_where_no_tag_is_given_the_charts_own_release_runs() -> None:
    own = YAML(typ="safe", pure=True).load(text_of("charts/ias/Chart.yaml"))["appVersion"]
    answer = rendered({"own": {"chart": "charts/ias"}})["own"]
    assert {image.rpartition(":")[2] for image in images(answer)} == {own}
    assert {thing["metadata"]["labels"]["app.kubernetes.io/version"] for thing in answer["objects"]} == {own}
    assert answer["notes"].startswith(f"ias {own} is installed")


def test_browsers_that_know_production_trust_every_environment_under_its_names() -> None:
    strict = {host for host, _ in doors("production")}
    for environment in ENVIRONMENTS:
        for host, issuer in doors(environment):
            if any(host == above or host.endswith(f".{above}") for above in strict):
                assert issuer == "letsencrypt", f"{host} would be refused: Strict-Transport-Security includes it"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_where_traces_are_taken_few_requests_are_traced_unasked(environment: str) -> None:
    for workload, container in containers(environment):
        if component(workload) != "migrations":
            told = variables(container)
            assert told["IAS_OTLP_ENDPOINT"]
            assert 0 < float(told["IAS_TRACE_RATIO"]) <= 0.01


def doors(environment: str) -> list[tuple[str, str]]:
    """The names of the doors, and who signs their certificates."""
    return [
        (rule["host"], door["metadata"]["annotations"]["cert-manager.io/cluster-issuer"])
        for door in objects(environment, "Ingress")
        for rule in door["spec"]["rules"]
    ]


def images(answer: Thing) -> list[str]:
    """Of every container that was rendered; each is one that may run."""
    workloads = [thing for thing in answer["objects"] if thing["kind"] in WORKLOADS]
    found = [container["image"] for each in workloads for container in pod(each)["containers"]]
    assert found
    assert all(IMAGE.fullmatch(image) for image in found)
    return found


def assert_one_tag(text: str) -> None:
    assert len(re.findall(r'^image:\n  tag: "?[0-9A-Za-z][\w.-]*"?$', text, re.MULTILINE)) == 1
    assert text.count("tag:") == 1


def settings_of(workload: Thing) -> type[BaseSettings]:
    return GatewaySettings if component(workload) == "gateway" else Settings


def known(settings: type[BaseSettings]) -> set[str]:
    return {f"IAS_{name.upper()}" for name in settings.model_fields}


def processes() -> dict[str, Thing]:
    schema = msgspec.json.decode(text_of("charts/ias/values.schema.json"))
    return {name: schema["properties"][name] for name in ("gateway", "api", "worker")}


def texts(thing: object) -> Iterator[str]:
    if isinstance(thing, dict):
        for value in thing.values():
            yield from texts(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from texts(value)
    elif isinstance(thing, str):
        yield thing


def leaves(values: Thing, under: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        path = f"{under}.{name}" if under else name
        if isinstance(value, dict) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def shown(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "see values.yaml"
    if isinstance(value, str):
        return f"`{value}`" if value else '`""`'
    return f"`{msgspec.json.encode(value).decode()}`"
