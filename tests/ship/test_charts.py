"""What the charts make is what Kubernetes takes, runs without rights, and keeps serving while it changes."""

import re
from typing import Any

import pytest

from ias.web import DRAIN_S as API_DRAIN_S
from ias.web import MAX_BODY_BYTES, NOTICE_S
from ias.worker import DRAIN_S as WORKER_DRAIN_S
from ias_gateway.ending import LAST_WORDS_S
from ias_gateway.settings import GatewaySettings
from ias_gateway.telemetry import Metrics
from ias_gateway.workers import GRACE_S
from tests.ship.charts import (
    ENVIRONMENTS,
    IMAGE,
    MODELS,
    RELEASES,
    ROOT,
    component,
    containers,
    labels,
    name_of,
    named,
    objects,
    pod,
    ports,
    releases,
    selected,
    text_of,
    variables,
    workloads,
)

Thing = dict[str, Any]

DEFAULTS = {name: field.default for name, field in GatewaySettings.model_fields.items()}
every_release = pytest.mark.parametrize("release", RELEASES)
every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)
every_model = pytest.mark.parametrize("model", MODELS)


@every_release
def test_helm_and_kubernetes_find_nothing_wrong(release: str) -> None:
    answer = releases()[release]
    assert answer.get("error") is None
    assert answer["lint"] == []
    assert answer["faults"] == []
    assert len({(thing["kind"], name_of(thing)) for thing in answer["objects"]}) == len(answer["objects"])


@every_release
def test_everything_is_in_the_namespace_of_its_release(release: str) -> None:
    wanted = RELEASES[release].get("namespace", "ias")
    assert {thing["metadata"]["namespace"] for thing in objects(release)} == {wanted}


@every_release
def test_no_container_has_a_right_that_it_does_not_need(release: str) -> None:
    for workload, container in containers(release):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        of_pod = pod(workload)["securityContext"]
        assert of_pod["runAsNonRoot"] is True
        assert of_pod["runAsUser"] >= 1000
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}


@every_release
def test_no_pod_has_a_token_of_kubernetes_nor_a_part_of_its_node(release: str) -> None:
    for workload in workloads(release):
        spec = pod(workload)
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostAliases"} & spec.keys()
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= {"emptyDir", "persistentVolumeClaim"}
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]
    assert all(account["automountServiceAccountToken"] is False for account in objects(release, "ServiceAccount"))
    assert objects(release, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == []


@every_release
def test_every_container_says_what_it_needs_and_where_it_ends(release: str) -> None:
    for _, container in containers(release):
        needs = container["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} <= needs["requests"].keys()
        assert {"memory", "ephemeral-storage"} <= needs["limits"].keys()
        assert IMAGE.fullmatch(container["image"])


@every_environment
def test_the_pods_run_as_the_user_of_the_images_and_listen_where_these_say(environment: str) -> None:
    for workload, container in containers(environment):
        image = "gateway" if component(workload) == "gateway" else "ias"
        dockerfile = text_of(f"images/{image}/Dockerfile")
        assert f"USER {pod(workload)['securityContext']['runAsUser']}:" in dockerfile
        (exposed,) = re.findall(r"^EXPOSE (.*)$", dockerfile, re.MULTILINE)
        assert {str(port) for port in ports(container).values()} <= set(exposed.split())
        assert container["image"].rsplit("/", 1)[1].split(":")[0] == ("ias-gateway" if image == "gateway" else "ias")


@every_release
def test_every_probe_asks_a_port_that_its_container_has(release: str) -> None:
    for workload, container in containers(release):
        if workload["kind"] == "Job":
            continue
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        engine = component(workload) == "engine"
        wanted = {"startup": "/health", "liveness": "/health", "readiness": "/health" if engine else "/ready"}
        assert {name: get["path"] for name, get in asked.items()} == wanted
        assert {get["port"] for get in asked.values()} <= ports(container).keys()
        assert "metrics" not in ports(container) or {get["port"] for get in asked.values()} == {"metrics"}


@every_environment
def test_a_minute_without_redis_takes_no_gateway_out_of_rotation(environment: str) -> None:
    ((_, container),) = ((w, c) for w, c in containers(environment) if component(w) == "gateway")
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] >= 60
    assert ready["periodSeconds"] <= 5


@every_environment
def test_a_pod_has_the_time_to_drain(environment: str) -> None:
    for workload, container in containers(environment):
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        told = variables(container)
        needed = {
            "gateway": float(told.get("IAS_DRAIN_TIMEOUT", 0)) + 2 * LAST_WORDS_S + GRACE_S,
            "api": NOTICE_S + API_DRAIN_S,
            "migrations": 0.0,
        }.get(component(workload), WORKER_DRAIN_S)
        assert workload["kind"] == "Job" or pod(workload)["terminationGracePeriodSeconds"] >= before + needed + 5
        assert component(workload) not in {"gateway", "api"} or before >= 5


@every_environment
def test_a_roll_out_takes_no_capacity_and_no_two_releases_of_the_worker_run_at_once(environment: str) -> None:
    for deployment in objects(environment, "Deployment"):
        strategy = deployment["spec"]["strategy"]
        if component(deployment).startswith("worker"):
            assert strategy == {"type": "Recreate"}
        else:
            assert strategy["rollingUpdate"]["maxUnavailable"] == 0
            assert strategy["rollingUpdate"]["maxSurge"] in {1, "25%"}
        assert deployment["spec"]["template"]["metadata"]["annotations"]["ias/secrets-revision"]


@every_release
def test_a_disruption_takes_one_pod_at_a_time_and_can_always_take_one(release: str) -> None:
    running = [each for each in workloads(release) if each["kind"] != "Job"]
    budgets = objects(release, "PodDisruptionBudget")
    covered = [selected(release, budget["spec"]["selector"]["matchLabels"]) for budget in budgets]
    assert sorted(name_of(each) for (each,) in covered) == sorted(map(name_of, running))
    for budget in budgets:
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert "minAvailable" not in budget["spec"]


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_there_are_two_of_each_process_where_it_counts(environment: str) -> None:
    scaled = {scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"] for scaler in objects(environment, SCALER)}
    for deployment in objects(environment, "Deployment"):
        least = scaled.get(name_of(deployment), {}).get("minReplicas", deployment["spec"].get("replicas"))
        assert least >= 2


SCALER = "HorizontalPodAutoscaler"


@every_environment
def test_what_is_scaled_is_there_counts_what_exists_and_is_not_counted_twice(environment: str) -> None:
    exposed = Metrics().exposition().decode()
    for scaler in objects(environment, SCALER):
        target = named(environment, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"]
        assert 1 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]
        (container,) = pod(target)["containers"]
        metrics = {metric["type"]: metric for metric in scaler["spec"]["metrics"]}
        assert metrics["Resource"]["resource"]["name"] == "cpu"
        assert container["resources"]["requests"]["cpu"]
        if component(target) == "gateway":
            assert f"# TYPE {metrics['Pods']['pods']['metric']['name']} gauge" in exposed
            most = DEFAULTS["max_streams"] * int(variables(container)["IAS_GATEWAY_WORKERS"])
            assert most * 0.5 <= int(metrics["Pods"]["pods"]["target"]["averageValue"]) <= most * 0.8
    unscaled = {name_of(each) for each in objects(environment, "Deployment")} - {
        scaler["spec"]["scaleTargetRef"]["name"] for scaler in objects(environment, SCALER)
    }
    assert all(named(environment, "Deployment", name)["spec"]["replicas"] >= 1 for name in unscaled)


@every_release
def test_services_are_of_the_cluster_alone_and_lead_to_one_workload(release: str) -> None:
    for service in objects(release, "Service"):
        assert service["spec"]["type"] == "ClusterIP"
        (workload,) = selected(release, service["spec"]["selector"])
        (container,) = pod(workload)["containers"]
        for port in service["spec"]["ports"]:
            assert ports(container)[port["targetPort"]] == port["port"]
            assert port["name"] != "metrics"


@every_environment
def test_the_doors_are_behind_tls_and_say_so_to_browsers(environment: str) -> None:
    doors = objects(environment, "Ingress")
    assert {component_of(door) for door in doors} == {"gateway", "api"}
    for door in doors:
        told = annotations(door)
        hosts = {rule["host"] for rule in door["spec"]["rules"]}
        assert {host for part in door["spec"]["tls"] for host in part["hosts"] if part["secretName"]} == hosts
        assert told["ssl-redirect"] == told["force-ssl-redirect"] == "true"
        headers = named(environment, "ConfigMap", told["custom-headers"].removeprefix("ias/"))["data"]
        assert headers == {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}


@every_environment
def test_streams_pass_the_doors_as_they_come_and_limits_are_the_processes_own(environment: str) -> None:
    for door in objects(environment, "Ingress"):
        told = annotations(door)
        assert told["proxy-buffering"] == "off"
        assert "http_" not in told["proxy-next-upstream"]
        assert int(told["proxy-read-timeout"]) > DEFAULTS["total_timeout"]
        assert int(told["proxy-send-timeout"]) > DEFAULTS["total_timeout"]
        own = DEFAULTS["max_audio_bytes"] if component_of(door) == "gateway" else MAX_BODY_BYTES
        (mebibytes,) = re.findall(r"^(\d+)m$", told["proxy-body-size"])
        assert own < int(mebibytes) * 2**20 <= own + 2 * 2**20


@every_environment
def test_what_a_process_says_of_itself_is_not_shown_outside(environment: str) -> None:
    services = {name_of(service): service for service in objects(environment, "Service")}
    led: dict[tuple[str, str], str] = {}
    for door in objects(environment, "Ingress"):
        (rule,) = door["spec"]["rules"]
        for path in rule["http"]["paths"]:
            service = services[path["backend"]["service"]["name"]]
            assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
            led[component_of(door), path["path"]] = component_of(service)
    hidden = {("api", path): "gateway" for path in ("/health", "/ready", "/metrics")}
    assert led == {("gateway", "/"): "gateway", ("api", "/"): "api"} | hidden


@every_environment
def test_migrations_run_before_the_processes_and_after_what_they_need(environment: str) -> None:
    (job,) = objects(environment, "Job")
    told = job["metadata"]["annotations"]
    external = bool(objects(environment, "ExternalSecret"))
    assert told["helm.sh/hook"] == ("post-install,pre-upgrade" if external else "pre-install,pre-upgrade")
    assert told["argocd.argoproj.io/hook"] == "Sync"
    first = {thing["kind"]: int(wave(thing)) for thing in objects(environment, "NetworkPolicy", "ExternalSecret")}
    assert all(
        when < int(wave(job)) < int(wave(process)) for when in first.values() for process in running(environment)
    )
    # A hook comes before the release's own accounts.
    assert "serviceAccountName" not in pod(job)


@every_release
def test_what_is_scraped_is_there(release: str) -> None:
    monitors = objects(release, "PodMonitor")
    covered = [selected(release, monitor["spec"]["selector"]["matchLabels"]) for monitor in monitors]
    assert sorted(name_of(each) for (each,) in covered) == sorted(map(name_of, running(release)))
    for monitor, (workload,) in zip(monitors, covered, strict=True):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        (container,) = pod(workload)["containers"]
        # Where a process speaks of itself: of the gateway, that is not the public port.
        assert endpoint["port"] == container["readinessProbe"]["httpGet"]["port"]
        assert endpoint["path"] == "/metrics"
        # Rules tell processes apart by it.
        assert re.fullmatch("(gateway|api|worker|vllm)(-.*)?", labels(workload)[monitor["spec"]["jobLabel"]])


@every_environment
def test_every_rule_and_dashboard_is_shipped(environment: str) -> None:
    folder = ROOT / "deploy/observability"
    rules = {f"ias-{path.stem}" for path in folder.glob("rules/*.yaml")}
    assert {name_of(rule) for rule in objects(environment, "PrometheusRule")} == rules != set()
    boards = [
        thing for thing in objects(environment, "ConfigMap") if "grafana_dashboard" in thing["metadata"]["labels"]
    ]
    shipped = {name: text for board in boards for name, text in board["data"].items()}
    assert shipped == {path.name: path.read_text() for path in folder.glob("dashboards/*.json")} != {}


@every_model
def test_an_engine_says_what_the_ledger_needs_and_keeps_what_it_loaded(model: str) -> None:
    ((workload, container),) = containers(model)
    arguments = container["args"]
    assert {"--enable-prompt-tokens-details", "--enable-request-id-headers"} <= set(arguments)
    assert f"--served-model-name={model}" in arguments
    assert any(argument.startswith("--shutdown-timeout=") for argument in arguments)
    needs = container["resources"]
    gpus = needs["limits"]["nvidia.com/gpu"]
    assert f"--tensor-parallel-size={gpus}" in arguments
    assert needs["requests"]["nvidia.com/gpu"] == gpus >= 1
    assert pod(workload)["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert pod(workload)["nodeSelector"] == {"ias/pool": "gpu"}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]}
    assert claims == {"cache"}
    assert variables(container)["HF_HOME"].startswith(mounts["cache"])
    assert mounts["shm"] == "/dev/shm"
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 30 * 60
    drain = int(next(a for a in arguments if a.startswith("--shutdown-timeout=")).split("=")[1])
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(workload)["terminationGracePeriodSeconds"] >= drain + before + 10


def running(release: str) -> list[Thing]:
    return [each for each in workloads(release) if each["kind"] != "Job"]


def component_of(thing: Thing) -> str:
    of: str = thing["metadata"]["labels"]["app.kubernetes.io/component"]
    return of


def annotations(door: Thing) -> dict[str, str]:
    return {
        name.removeprefix("nginx.ingress.kubernetes.io/"): value
        for name, value in door["metadata"]["annotations"].items()
    }


def wave(thing: Thing) -> str:
    told: str = thing["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0")
    return told
