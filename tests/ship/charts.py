"""The charts as they are released: rendered once for whoever looks at them, with what is looked for in them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from tests.ship.tools import ROOT, python

Thing = dict[str, Any]

ENVIRONMENTS = ("dev", "staging", "production")
MODELS = ("qwen3-8b", "llama-3.3-70b")
RELEASES: dict[str, Thing] = {
    **{name: {"chart": "charts/ias", "values": [f"charts/ias/values-{name}.yaml"]} for name in ENVIRONMENTS},
    **{
        name: {
            "chart": "charts/vllm",
            "values": [f"charts/vllm/examples/{name}.yaml"],
            "name": name.replace(".", "-"),
            "namespace": "models",
        }
        for name in MODELS
    },
}
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
IMAGE = re.compile(r"[a-z0-9./-]+:(?!latest$)[0-9A-Za-z][\w.-]*")
"""An image of a release, or of a commit."""


@cache
def releases() -> Mapping[str, Thing]:
    """All of them, checked by Helm and by Kubernetes' schemas."""
    return rendered(RELEASES)


def rendered(asked: Mapping[str, Thing]) -> Mapping[str, Thing]:
    """What Helm makes of charts and values; see `render.py`."""
    done = python("tests/ship/render.py", stdin=msgspec.json.encode(asked).decode())
    assert done.returncode == 0, done.stderr
    answers: Mapping[str, Thing] = msgspec.json.decode(done.stdout)
    return answers


def objects(release: str, *kinds: str) -> list[Thing]:
    """The objects of a release, of these kinds where some are named."""
    whole: list[Thing] = releases()[release]["objects"]
    return [thing for thing in whole if not kinds or thing["kind"] in kinds]


def named(release: str, kind: str, name: str) -> Thing:
    """The one object of this kind and name."""
    (one,) = (thing for thing in objects(release, kind) if name_of(thing) == name)
    return one


def name_of(thing: Thing) -> str:
    name: str = thing["metadata"]["name"]
    return name


def workloads(release: str) -> list[Thing]:
    return objects(release, *WORKLOADS)


def component(workload: Thing) -> str:
    """What it is a part of: gateway, api, worker, worker-ledger, migrations, engine."""
    one: str = labels(workload)["app.kubernetes.io/component"]
    return one


def labels(workload: Thing) -> dict[str, str]:
    """The labels of its pods."""
    of: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return of


def pod(workload: Thing) -> Thing:
    spec: Thing = workload["spec"]["template"]["spec"]
    return spec


def containers(release: str) -> Iterator[tuple[Thing, Thing]]:
    """Every container with the workload that it is of."""
    for workload in workloads(release):
        for container in [*pod(workload)["containers"], *pod(workload).get("initContainers", [])]:
            yield workload, container


def variables(container: Thing) -> dict[str, str]:
    """What a container is told in plain."""
    return {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}


def secret_variables(container: Thing) -> dict[str, tuple[str, str]]:
    """What it is told from Secrets: the Secret's name, and the key in it."""
    references = {
        one["name"]: one["valueFrom"]["secretKeyRef"] for one in container.get("env", []) if "value" not in one
    }
    return {name: (of["name"], of["key"]) for name, of in references.items()}


def ports(container: Thing) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container.get("ports", [])}


def selected(release: str, selector: Mapping[str, str]) -> list[Thing]:
    """The workloads whose pods have these labels."""
    return [each for each in workloads(release) if selector.items() <= labels(each).items()]


def text_of(path: str) -> str:
    return (ROOT / path).read_text()
