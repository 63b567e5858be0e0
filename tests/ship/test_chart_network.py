"""Who may speak to whom in the cluster: these arrows, and no other."""

import pytest

from tests.ship.arrows import Place, arrows, pod
from tests.ship.charts import ENVIRONMENTS, MODELS, component, labels, objects, workloads

PORTS = (22, 53, 80, 443, 4317, 4318, 5432, 5672, 6379, 8000, 8080, 8081, 8082, 8089, 9080, 9090, 15672)

OUTSIDE = {
    "ingress controller": pod("ingress-nginx", app="ingress-nginx"),
    "prometheus": pod("observability", app="prometheus"),
    "collector": pod("observability", app="opentelemetry-collector"),
    "dns": pod("kube-system", k8s_app="kube-dns"),
    "postgresql": pod("data", app="postgresql"),
    "redis": pod("data", app="redis"),
    "rabbitmq": pod("data", app="rabbitmq"),
    "neighbour": pod("ias", app="something-else"),
    "neighbour of the engines": pod("models", app="something-else"),
    "stranger": pod("default", app="ias", component="gateway"),
    "stranger in observability": pod("observability", app="grafana"),
    "stranger in data": pod("data", app="something-else"),
    "the internet": Place(address="203.0.113.7"),
    "a private network": Place(address="10.11.12.13"),
    "the metadata service": Place(address="169.254.169.254"),
}

# The arrows of the design, each read off the code that makes it. The api reaches the gateway for the playground alone;
# a model is tried by a gateway, not by the api (docs/decisions/0013); RabbitMQ is the workers' alone; nobody but
# Prometheus speaks to a worker.
GATEWAY = {("dns", 53), ("redis", 6379), ("engine", 8000)}
API = {("dns", 53), ("postgresql", 5432), ("redis", 6379), ("gateway", 8080)}
WORKER = {
    ("dns", 53),
    ("postgresql", 5432),
    ("redis", 6379),
    ("rabbitmq", 5672),
    ("rabbitmq", 15672),
    ("the internet", 22),
    ("the internet", 443),
}
MIGRATIONS = {("dns", 53), ("postgresql", 5432), ("redis", 6379)}
ENGINE = {("dns", 53), ("the internet", 443)}
TRACED = {("collector", 4318)}


def arrows_of(traced: bool, workers: tuple[str, ...]) -> set[tuple[str, str, int]]:
    also = TRACED if traced else set()
    table = {
        "gateway": GATEWAY | also,
        "api": API | also,
        **dict.fromkeys(workers, WORKER | also),
        "migrations": MIGRATIONS,
        "engine": ENGINE,
        "ingress controller": {("gateway", 8080), ("api", 8081)},
        "prometheus": {("gateway", 9080), ("api", 8081), ("engine", 8000), *((worker, 8082) for worker in workers)},
    }
    return {(source, target, port) for source, targets in table.items() for target, port in targets}


def world(environment: str, model: str) -> dict[str, Place]:
    ours = {component(each): Place("ias", tuple(labels(each).items())) for each in workloads(environment)}
    engines = {component(each): Place("models", tuple(labels(each).items())) for each in workloads(model)}
    return OUTSIDE | ours | engines


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_exactly_the_arrows_of_the_design_are_let_through(environment: str) -> None:
    places = world(environment, "qwen3-8b")
    policies = objects(environment, "NetworkPolicy") + objects("qwen3-8b", "NetworkPolicy")
    workers = tuple(name for name in places if name.startswith("worker"))
    assert workers == (("worker-ledger", "worker-usage") if environment == "production" else ("worker",))
    assert set(arrows(policies, places, PORTS)) == arrows_of(environment != "dev", workers)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_pod_of_which_nobody_has_said_anything_may_neither_speak_nor_be_spoken_to(environment: str) -> None:
    closed = [
        policy["spec"]
        for policy in objects(environment, "NetworkPolicy")
        if policy["spec"]["podSelector"] == {} and policy["metadata"]["namespace"] == "ias"
    ]
    assert closed == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]


@pytest.mark.parametrize("model", MODELS)
def test_an_engine_is_reached_by_gateways_and_prometheus_alone(model: str) -> None:
    places = world("production", model)
    policies = objects("production", "NetworkPolicy") + objects(model, "NetworkPolicy")
    into = {source for source, target, _ in arrows(policies, places, PORTS) if target == "engine"}
    assert into == {"gateway", "prometheus"}


@pytest.mark.parametrize("release", [*ENVIRONMENTS, *MODELS])
def test_every_pod_is_under_a_policy_of_its_own_and_names_are_asked_by_udp_too(release: str) -> None:
    policies = objects(release, "NetworkPolicy")
    for workload in workloads(release):
        own = [
            policy["spec"]
            for policy in policies
            if policy["spec"]["podSelector"] != {}
            and policy["spec"]["podSelector"]["matchLabels"].items() <= labels(workload).items()
        ]
        (spec,) = own
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert {"port": 53, "protocol": "UDP"} in spec["egress"][0]["ports"]


def test_cert_manager_can_prove_that_the_hosts_are_ours() -> None:
    policies = objects("production", "NetworkPolicy")
    solver = Place("ias", (("acme.cert-manager.io/http01-solver", "true"),))
    found = arrows(policies, {"ingress controller": OUTSIDE["ingress controller"], "solver": solver}, PORTS)
    assert set(found) == {("ingress controller", "solver", 8089)}
