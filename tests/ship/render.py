"""Renders charts with Helm's own code, and checks what comes of it against Kubernetes' schemas.

Runs in `.cache/ship`: `tests.ship.tools.python(this file, stdin=…)`. It reads `{name: {chart, values, given, release,
namespace}}` and prints `{name: {objects, notes, lint, faults}}`, or `{name: {error}}`, in JSON. By hand it prints the
manifests: `.cache/ship/bin/python tests/ship/render.py charts/ias charts/ias/values-production.yaml`.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import helm_python as helm
import jsonschema
import yaml
from referencing import Registry, Resource

VERSIONS = ("1.30", "1.37")
"""The oldest Kubernetes that the charts say they work with, and the newest that there are schemas of."""
OPERATORS = Path(__file__).with_name("crds.json")

Thing = dict[str, Any]


class Release(NamedTuple):
    """A chart, files of values, values beside them, and what Helm is told on its command line."""

    chart: str
    values: Sequence[str] = ()
    given: Mapping[str, Any] = MappingProxyType({})
    name: str = "ias"
    namespace: str = "ias"


def main() -> None:
    """Print what was asked for."""
    if len(sys.argv) > 1:
        chart, *values = sys.argv[1:]
        sys.stdout.write(yaml.safe_dump_all(rendered(Release(chart, values))[0], sort_keys=False))
        return
    releases = {name: Release(**asked) for name, asked in json.load(sys.stdin).items()}
    json.dump({name: answered(release) for name, release in releases.items()}, sys.stdout)


def answered(release: Release) -> Thing:
    """All there is to say of one release."""
    try:
        objects, notes = rendered(release)
    except helm.HelmError as error:
        return {"error": str(error)}
    report = helm.lint(release.chart, merged(release), strict=True, namespace=release.namespace)
    said = [f"{message['path']}: {message['error']}" for message in report["messages"] if message["severity"] > 1]
    faults = [fault for version in VERSIONS for thing in objects for fault in faulty(thing, version)]
    return {"objects": objects, "notes": notes, "lint": said + report["errors"], "faults": faults}


def rendered(release: Release) -> tuple[list[Thing], str]:
    """The objects, file by file, and the notes.

    Raises:
        HelmError: the values do not fit the chart's schema, or a template fails.
    """
    given = merged(release)
    with helm.Chart.load(release.chart) as chart:
        chart.validate_schema(given)
        files = chart.render(given, name=release.name, namespace=release.namespace, is_install=True)
    texts = (text for path, text in sorted(files.items()) if path.endswith(".yaml"))
    objects = [thing for text in texts for thing in yaml.load_all(text, Loader=Strict) if thing]
    return objects, next((text for path, text in files.items() if path.endswith("NOTES.txt")), "")


def merged(release: Release) -> Thing:
    """What Helm makes of several `-f`, and of what is set beside them."""
    whole: Thing = {}
    for path in release.values:
        overlay(whole, yaml.safe_load(Path(path).read_text()) or {})
    overlay(whole, release.given)
    return whole


def overlay(under: Thing, over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            overlay(under[key], value)
        else:
            under[key] = value


class Strict(yaml.CSafeLoader):
    """YAML in which a name stands once: of two, Kubernetes would take one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def faulty(thing: Thing, version: str) -> Iterator[str]:
    """What Kubernetes would refuse, as sentences."""
    what = f"{thing['kind']} {thing['metadata']['name']} ({version})"
    for error in checker(thing["apiVersion"], thing["kind"], version).iter_errors(thing):
        best = jsonschema.exceptions.best_match([error])
        yield f"{what}: {'.'.join(map(str, best.absolute_path))}: {best.message[:300]}"


@cache
def checker(api_version: str, kind: str, version: str) -> jsonschema.Draft202012Validator:
    """The schema of a kind: Kubernetes' own, in which unknown fields are refused, or that of an operator."""
    own = json.loads(OPERATORS.read_text()).get(f"{api_version}/{kind}")
    if own is not None:
        return jsonschema.Draft202012Validator(own)
    group, _, rest = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], rest) if part)
    schema = json.loads((folder(version) / f"{name}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=definitions(version))


@cache
def definitions(version: str) -> Registry:
    """What the schemas of a version refer to."""
    contents = json.loads((folder(version) / "_definitions.json").read_text())
    return Resource.from_contents(contents) @ Registry()


def folder(version: str) -> Traversable:
    return resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"


if __name__ == "__main__":
    main()
