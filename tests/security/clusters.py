"""Charts as they are rendered, Terraform, Dockerfiles and workflows, by checkov's own rules."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.security.findings import AUDIT, ROOT, Finding

ENVIRONMENTS = ("dev", "staging", "production")
FOLDERS = {"terraform": "infra/terraform", "dockerfile": "images", "github_actions": ".github"}
"""What is looked at as it lies there, by checkov's name of its kind."""


def findings() -> Iterator[Finding]:
    """What checkov finds.

    Raises:
        RuntimeError: a chart cannot be rendered, or checkov fails.
    """
    for kind, folder in FOLDERS.items():
        for failed in _checkov(kind, ROOT / folder):
            path = str(Path(failed["file_abs_path"]).relative_to(ROOT))
            yield _finding(path, failed)
    with tempfile.TemporaryDirectory() as folder:
        for name, manifests in rendered().items():
            Path(folder, f"{name}.yaml").write_text(manifests)
        for failed in _checkov("kubernetes", Path(folder)):
            release = Path(failed["file_path"]).stem
            yield _finding(f"{release}:{failed['resource']}", failed)


def _finding(path: str, failed: dict[str, Any]) -> Finding:
    return Finding(
        failed["check_id"], path, failed["file_line_range"][0], f"{failed['check_name']} ({failed['resource']})"
    )


def rendered() -> dict[str, str]:
    """The manifests of every release that infra/argocd makes of a chart of ours."""
    values = "infra/argocd/values"
    made = {}
    for name in ENVIRONMENTS:
        files = [f"charts/ias/values-{name}.yaml", f"{values}/ias.yaml", f"{values}/ias-{name}.yaml"]
        made[f"ias-{name}"] = _rendered("charts/ias", *files)
    for model in sorted((ROOT / values / "models").glob("*-production.yaml")):
        of = model.stem.removesuffix("-production")
        made[f"vllm-{of}"] = _rendered("charts/vllm", f"{values}/models/{of}.yaml", str(model))
    made["platform"] = _rendered("infra/argocd/platform")
    made["namespaces"] = _rendered("infra/argocd/namespaces")
    return made


def _rendered(chart: str, *values: str) -> str:
    argv = [ROOT / ".cache/ship/bin/python", "tests/ship/render.py", chart, *values]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{chart} cannot be rendered:\n{done.stderr[-2000:]}")
    return done.stdout


def _checkov(kind: str, folder: Path) -> list[dict[str, Any]]:
    argv = [AUDIT / "python", "-m", "checkov.main", f"--directory={folder}", f"--framework={kind}", "--output=json"]
    argv += ["--quiet", "--compact", "--skip-download", "--soft-fail"]
    environment = {**os.environ, "LOG_LEVEL": "ERROR", "BC_API_KEY": "", "CKV_IGNORE_HIDDEN_DIRECTORIES": "false"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"checkov failed on {kind}:\n{(done.stdout + done.stderr)[-2000:]}")
    report = msgspec.json.decode(done.stdout)
    if "results" not in report:
        raise RuntimeError(f"checkov looked at nothing of {kind} in {folder}: {report}")
    sys.stderr.write(f"checkov: {kind}: {report['summary']['passed']} passed, {report['summary']['failed']} failed\n")
    failed: list[dict[str, Any]] = report["results"]["failed_checks"]
    return failed
