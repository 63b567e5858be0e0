"""The public charts that infra/argocd pins, each rendered with our values: it asks their registries, so no test does.

`nox -s public_charts` runs it, with a `helm` from the path: in every change's workflow, and by who raises a version.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
VALUES = ROOT / "infra/argocd/values"
ENVIRONMENTS = ("dev", "staging", "production")
NOT_REACHED = "cannot be reached"  # Helm's own words of a repository


def main() -> int | str:
    """How many charts refuse what they are given, or could not be asked; or why none was."""
    if shutil.which("helm") is None:
        return "there is no `helm` on the path, which renders the charts: install Helm 3 or later, then try again."
    apps = yaml.safe_load((ROOT / "infra/argocd/apps/values.yaml").read_text())["apps"]
    charts = {name: app for name, app in apps.items() if "chart" in app}
    return sum(not takes(name, app, environment) for name, app in charts.items() for environment in ENVIRONMENTS)


def takes(name: str, app: dict[str, str], environment: str) -> bool:
    """Whether Helm can render a chart as an environment has it."""
    files = [path for path in (VALUES / f"{name}.yaml", VALUES / f"{name}-{environment}.yaml") if path.exists()]
    argv = ["helm", "template", app.get("release", name), app["chart"], f"--repo={app['repo']}"]
    argv += [f"--version={app['version']}", f"--namespace={app['namespace']}", "--include-crds"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*argv, f"--output-dir={folder}", *(f"--values={path}" for path in files)],
            capture_output=True,
            text=True,
            timeout=300,
        )
    sys.stdout.write(f"{name} {app['version']} in {environment} {_verdict(done)}\n")
    return done.returncode == 0


def _verdict(done: subprocess.CompletedProcess[str]) -> str:
    """What Helm's answer means; a repository that is not reached has not said anything of our values."""
    if done.returncode == 0:
        return "is taken"
    said = done.stderr.strip()
    return f"WAS NOT ASKED, check the network: {said}" if NOT_REACHED in said else f"IS REFUSED: {said}"


if __name__ == "__main__":
    sys.exit(main())
