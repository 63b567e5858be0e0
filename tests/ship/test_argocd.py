"""infra/argocd, rendered by Helm's own code: no cluster, no registry of charts."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from tests.ship.tools import ROOT, python

ARGOCD = "infra/argocd"
ENVIRONMENTS = ("dev", "staging", "production")

Thing = dict[str, Any]

# Without the schemas that `render.py` checks everything by: Argo CD's and the operators' are not all at hand.
RENDER = """
import json, sys
sys.path.insert(0, "tests/ship")
import render
known = {"ConfigMap", "IngressClass", "Job", "Namespace", "NetworkPolicy", "PodDisruptionBudget"}
answers = {}
for name, asked in json.load(sys.stdin).items():
    objects, _ = render.rendered(render.Release(**asked))
    faults = [fault for thing in objects if thing["kind"] in known for fault in render.faulty(thing, "1.30")]
    answers[name] = {"objects": objects, "faults": faults}
print(json.dumps(answers))
"""


def load(path: str) -> Any:
    return YAML(typ="safe").load((ROOT / path).read_text())


REPOSITORY: str = load(f"{ARGOCD}/apps/values.yaml")["git"]["url"]


@cache
def made() -> Mapping[str, Thing]:
    """What the charts of this folder make in each environment."""
    asked: dict[str, Thing] = {"namespaces": {"chart": f"{ARGOCD}/namespaces", "name": "namespaces"}}
    for name in ENVIRONMENTS:
        values = [f"{ARGOCD}/apps/values.yaml", f"{ARGOCD}/apps/values-{name}.yaml"]
        asked[f"apps-{name}"] = {"chart": f"{ARGOCD}/apps", "values": values, "name": "root", "namespace": "argocd"}
        beside = [path for path in [f"{ARGOCD}/values/platform-{name}.yaml"] if (ROOT / path).exists()]
        given = {"environment": name}
        asked[f"platform-{name}"] = {
            "chart": f"{ARGOCD}/platform",
            "values": beside,
            "given": given,
            "namespace": "data",
        }
        # As its Application has it (test_every_path_… holds that these files are the ones that it names).
        files = [f"charts/ias/values-{name}.yaml", f"{ARGOCD}/values/ias.yaml", f"{ARGOCD}/values/ias-{name}.yaml"]
        asked[f"product-{name}"] = {"chart": "charts/ias", "values": files}
    done = python("-c", RENDER, stdin=msgspec.json.encode(asked).decode())
    assert done.returncode == 0, done.stderr
    answers: Mapping[str, Thing] = msgspec.json.decode(done.stdout)
    return answers


def things(release: str, kind: str) -> dict[str, Thing]:
    return {thing["metadata"]["name"]: thing for thing in made()[release]["objects"] if thing["kind"] == kind}


def applications(environment: str) -> dict[str, Thing]:
    return things(f"apps-{environment}", "Application")


def sources(application: Thing) -> list[Thing]:
    spec = application["spec"]
    found: list[Thing] = spec.get("sources") or [spec["source"]]
    return found


@pytest.mark.parametrize("path", sorted((ROOT / ARGOCD).rglob("*.yaml")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_says_the_same_thing_twice(path: Path) -> None:
    if path.parent.name != "templates":
        assert list(YAML(typ="safe").load_all(path.read_text())), "Helm takes the last of two, and Argo CD neither"


def test_kubernetes_would_take_what_has_a_schema() -> None:
    assert not [fault for release in made().values() for fault in release["faults"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_application_is_of_a_project_that_lets_it_be(environment: str) -> None:
    projects = things(f"apps-{environment}", "AppProject")
    for name, application in applications(environment).items():
        project = projects[application["spec"]["project"]]["spec"]
        assert application["spec"]["destination"] in project["destinations"], name
        for source in sources(application):
            assert source["repoURL"] in project["sourceRepos"], name
    for name, project in projects.items():
        assert not {"*", ""} & set(project["spec"]["sourceRepos"]), name
        assert all("*" not in place.values() for place in project["spec"]["destinations"]), name
        kinds = project["spec"]["clusterResourceWhitelist"]
        assert all(kind["kind"] != "*" and kind["group"] != "*" for kind in kinds), name
    assert projects["ias"]["spec"]["sourceRepos"] == [REPOSITORY]
    assert projects["ias"]["spec"]["clusterResourceWhitelist"] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_whatever_is_not_ours_is_pinned_to_one_version(environment: str) -> None:
    for name, application in applications(environment).items():
        for source in sources(application):
            if source["repoURL"] != REPOSITORY:
                assert re.fullmatch(r"v?\d+\.\d+\.\d+", str(source["targetRevision"])), name
                assert source["repoURL"].startswith("https://"), name
            for image in source.get("kustomize", {}).get("images", []):
                assert re.search(r":\d+\.\d+\.\d+$", image), name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_path_and_values_file_is_in_the_repository(environment: str) -> None:
    used = set()
    for name, application in applications(environment).items():
        paths = [
            source["path"] for source in sources(application) if source["repoURL"] == REPOSITORY and "path" in source
        ]
        assert all((ROOT / path / "Chart.yaml").is_file() for path in paths), name
        for source in sources(application):
            files = [file.removeprefix("$values") for file in source.get("helm", {}).get("valueFiles", [])]
            places = [ROOT / file[1:] if file.startswith("/") else ROOT / source["path"] / file for file in files]
            used |= {place for place in places if place.is_file()}
            own = f"-{environment}.yaml"
            lacking = [place for place in places if not place.is_file() and not place.name.endswith(own)]
            assert not lacking, f"{name}: {lacking}"
    files = applications(environment)["ias"]["spec"]["source"]["helm"]["valueFiles"]
    base = f"values-{environment}.yaml"
    assert files == [base, f"/{ARGOCD}/values/ias.yaml", f"/{ARGOCD}/values/ias-{environment}.yaml"]
    others = {f"-{each}.yaml" for each in ENVIRONMENTS if each != environment}
    unused = set((ROOT / ARGOCD / "values").rglob("*.yaml")) - used
    skipped = {"mimir.yaml", "mimir-dev.yaml"} if environment == "dev" else set()
    assert not [file for file in unused if not file.name.endswith(tuple(others)) and file.name not in skipped]


def test_production_waits_for_somebody_and_the_others_do_not() -> None:
    for environment in ENVIRONMENTS:
        root = next(iter(YAML(typ="safe").load_all((ROOT / f"{ARGOCD}/bootstrap/{environment}.yaml").read_text())))
        assert root["kind"] == "AppProject"
        assert root["spec"]["sourceRepos"] == [REPOSITORY]
        *_, root = YAML(typ="safe").load_all((ROOT / f"{ARGOCD}/bootstrap/{environment}.yaml").read_text())
        assert root["spec"]["source"]["repoURL"] == REPOSITORY
        assert root["spec"]["source"]["helm"]["valueFiles"] == ["values.yaml", f"values-{environment}.yaml"]
        for application in [root, *applications(environment).values()]:
            automated = application["spec"]["syncPolicy"].get("automated")
            assert automated == (None if environment == "production" else {"prune": True, "selfHeal": True})


def wave(application: Thing) -> int:
    return int(application["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_needed_begins_before_what_needs_it(environment: str) -> None:
    of = {name: wave(application) for name, application in applications(environment).items()}
    first = ["namespaces", "external-secrets", "platform", "redis", "ias", "vllm-qwen3-8b"]
    assert [of[name] for name in first] == sorted({of[name] for name in first})
    assert of["namespaces"] < min(of[name] for name in of if name not in {"namespaces", "argocd"})
    assert of["cert-manager"] < of["platform"]
    assert of["rabbitmq-operator"] < of["platform"]
    # Its monitors are kinds of the Prometheus operator; nothing before it may have one.
    assert of["kube-prometheus-stack"] < of["redis"]
    assert not things(f"platform-{environment}", "PodMonitor")
    health = "resource.customizations.health.argoproj.io_Application"
    assert health in load(f"{ARGOCD}/values/argocd.yaml")["configs"]["cm"], "without it no wave waits"


def test_every_namespace_that_something_goes_into_is_made_with_its_standard() -> None:
    namespaces = things("namespaces", "Namespace")
    levels = {
        name: each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for name, each in namespaces.items()
    }
    assert levels["ias"] == levels["models"] == "restricted"
    for environment in ENVIRONMENTS:
        targets = {each["spec"]["destination"]["namespace"] for each in applications(environment).values()}
        assert targets - {"argocd", "kube-system"} == set(levels)


def test_no_secret_is_in_git_and_each_comes_from_its_own_environments_path() -> None:
    for environment in ENVIRONMENTS:
        release = f"platform-{environment}"
        assert not things(release, "Secret")
        secrets = things(release, "ExternalSecret").values()
        assert secrets
        for secret in secrets:
            spec = secret["spec"]
            keys = [each["extract"]["key"] for each in spec.get("dataFrom", [])]
            keys += [each["remoteRef"]["key"] for each in spec.get("data", [])]
            assert all(key.startswith(f"ias/{environment}/") for key in keys), keys
            assert spec["secretStoreRef"]["name"] in things(release, "ClusterSecretStore")


def test_terraform_writes_all_that_the_product_is_told_in_confidence() -> None:
    code = (ROOT / "infra/terraform/modules/secrets/main.tf").read_text()
    written = {
        process: set(re.findall(r"^ {6}(IAS_\w+)\s+=", body, re.MULTILINE))
        for process, body in re.findall(r"^ {4}(\w+) = \{\n(.*?)\n {4}\}", code, re.MULTILINE | re.DOTALL)
    }
    for environment in ENVIRONMENTS:
        for secret in things(f"product-{environment}", "ExternalSecret").values():
            for data in secret["spec"]["data"]:
                of, _, process = data["remoteRef"]["key"].rpartition("/")
                assert of == f"ias/{environment}"
                assert data["remoteRef"]["property"] in written[process], f"{process} is not given {data}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_product_is_told_of_the_platform_as_it_is(environment: str) -> None:
    release = f"product-{environment}"
    namespaces = set(things("namespaces", "Namespace")) | {"kube-system"}
    arrows = msgspec.json.encode(things(release, "NetworkPolicy")).decode()
    named = set(re.findall(r'"kubernetes.io/metadata.name":"([^"]+)"', arrows))
    assert {"data", "ingress", "models", "observability"} <= named <= namespaces
    assert '"app.kubernetes.io/name":"traefik"' in arrows
    classes = set(things(f"platform-{environment}", "IngressClass"))
    issuers = set(things(f"platform-{environment}", "ClusterIssuer"))
    for ingress in things(release, "Ingress").values():
        assert ingress["spec"]["ingressClassName"] in classes
        assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] in issuers


def test_redis_is_set_up_as_its_page_asks() -> None:
    page = (ROOT / "docs/redis.md").read_text()
    rights = dict(re.findall(r"```acl (\w+)\n(.*?)\n```", page, re.DOTALL))
    users = (ROOT / ARGOCD / "platform/files/users.acl").read_text().splitlines()
    for user, right in rights.items():
        assert f"user {user} {right.replace('>secret', f'>{{{{ .{user} }}}}')}" in users
    assert len(users) == len(rights) + 1
    config = load(f"{ARGOCD}/values/redis.yaml")["redis"]["config"]
    for setting, value in (("appendonly", "yes"), ("appendfsync", "everysec"), ("maxmemory-policy", "noeviction")):
        assert config[setting] == value
        assert f"`{setting} {value}`" in page


def test_models_ask_for_nodes_that_terraform_makes() -> None:
    cluster = (ROOT / "infra/terraform/modules/cluster/main.tf").read_text()
    for model in (ROOT / ARGOCD / "values/models").glob("*.yaml"):
        for label, value in (load(str(model.relative_to(ROOT))).get("gpu", {}).get("nodeSelector") or {}).items():
            assert f'"{label}" = "{value}"' in cluster, model.name
    assert 'key    = "nvidia.com/gpu"' in cluster


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_git_says_how_many_where_no_autoscaler_does(environment: str) -> None:
    release = f"product-{environment}"
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in things(release, "HorizontalPodAutoscaler").values()}
    deployments = things(release, "Deployment")
    assert scaled == {name for name, each in deployments.items() if "replicas" not in each["spec"]}
    for name, application in applications(environment).items():
        assert "ignoreDifferences" not in application["spec"], name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_secret_store_may_ask_whose_token_it_was_shown(environment: str) -> None:
    release = f"platform-{environment}"
    (store,) = things(release, "ClusterSecretStore").values()
    (binding,) = things(release, "ClusterRoleBinding").values()
    account = store["spec"]["provider"]["vault"]["auth"]["kubernetes"]["serviceAccountRef"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]
    assert binding["roleRef"]["name"] == "system:auth-delegator"
    kinds = things(f"apps-{environment}", "AppProject")["platform"]["spec"]["clusterResourceWhitelist"]
    assert {"group": "rbac.authorization.k8s.io", "kind": "ClusterRoleBinding"} in kinds


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_databases_port_is_the_same_for_the_product_and_for_its_logins(environment: str) -> None:
    network = load(f"{ARGOCD}/values/ias-{environment}.yaml")["network"]["postgresql"]
    assert network["ports"] == [load(f"{ARGOCD}/values/platform-{environment}.yaml")["postgresql"]["port"]]


def test_a_database_that_is_outside_is_not_looked_for_in_any_private_network() -> None:
    (peer,) = load(f"{ARGOCD}/values/ias-dev.yaml")["network"]["postgresql"]["peers"]
    private = {"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
    assert private <= set(peer["ipBlock"]["except"])


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_ingress_believes_the_nodebalancer_wherever_the_firewall_lets_it_in(environment: str) -> None:
    subnet = load(f"{ARGOCD}/values/ias-{environment}.yaml")["network"]["postgresql"]["peers"][0]["ipBlock"]["cidr"]
    ports = load(f"{ARGOCD}/values/traefik-{environment}.yaml")["ports"]
    for name in ("web", "websecure"):
        assert set(ports[name]["proxyProtocol"]["trustedIPs"]) == {subnet, "192.168.255.0/24"}
    assert 'concat(["192.168.255.0/24"]' in (ROOT / "infra/terraform/modules/network/main.tf").read_text()


def test_of_two_that_measure_the_same_one_tells_mimir() -> None:
    told = load(f"{ARGOCD}/values/kube-prometheus-stack.yaml")["prometheus"]["prometheusSpec"]
    (mimir,) = told["remoteWrite"]
    kept = [rule["regex"] for rule in mimir["writeRelabelConfigs"] if rule.get("action") == "keep"]
    pods = [f"prometheus-prometheus-{number}" for number in range(told["replicas"])]
    assert [pod for pod in pods if all(re.fullmatch(rule, pod) for rule in kept)] == [pods[0]]


def test_logs_and_traces_lead_to_each_other_as_they_do_without_kubernetes() -> None:
    here = load(f"{ARGOCD}/values/kube-prometheus-stack.yaml")["grafana"]["additionalDataSources"]
    there = load("deploy/observability/grafana/provisioning/datasources/ias.yaml")["datasources"]
    of = [{each["uid"]: each["jsonData"] for each in sources} for sources in (here, there)]
    assert of[0]["loki"] == of[1]["loki"]
    back = [each["tempo"]["tracesToLogsV2"].pop("query") for each in of]
    assert of[0]["tempo"] == of[1]["tempo"]
    # Which lines are the product's is said by another label here; which of them are the request's is not.
    assert back[0].partition("}")[2] == back[1].partition("}")[2]
    assert back[0].startswith('{k8s_namespace_name="ias"}')
