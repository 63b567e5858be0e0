"""How `nox -s security` judges what its programs find; they take minutes, and run in a workflow of their own."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ias.contract import keys
from tests.security import findings, secrets
from tests.security.findings import Finding, judged

RULES = Path(findings.__file__).with_name("rules")


def justified(folder: Path, monkeypatch: pytest.MonkeyPatch, entries: str) -> None:
    (folder / "justified.yaml").write_text(entries)
    monkeypatch.setattr(findings, "JUSTIFIED", folder / "justified.yaml")


def test_a_finding_is_told_but_where_it_is_justified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    justified(tmp_path, monkeypatch, "house: [{rule: shell, path: src/*, because: it is right}]")
    there, elsewhere = (Finding("shell", path, 3, "a shell") for path in ("src/a.py", "bench/a.py"))
    assert list(judged("house", [there])) == []
    assert list(judged("house", [there, elsewhere])) == ["bench/a.py:3: shell: a shell"]
    assert list(judged("house", [there, Finding("tls", "src/a.py", 1, "open")])) == ["src/a.py:1: tls: open"]


def test_a_reason_that_nothing_needs_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    justified(tmp_path, monkeypatch, "house: [{rule: shell, path: src/*, because: it is right}]")
    assert list(judged("house", [])) == ["justified.yaml: nothing of shell is at src/* any more: take it out"]


def test_a_key_of_ours_is_found_by_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.mint("acme0001")
    (tmp_path / "notes.md").write_text(f"one\n{key}\nias_acme0001_{'x' * 43}_000000\n")
    monkeypatch.setattr(secrets, "ROOT", tmp_path)
    monkeypatch.setattr(secrets, "tracked", lambda: ["notes.md"])
    monkeypatch.setattr(secrets, "_kingfisher", lambda **_: "")
    assert [(found.rule, found.line) for found in secrets.findings()] == [("ias.key", 2)]


def test_every_rule_has_an_example_that_it_finds_and_one_that_it_leaves() -> None:
    for path in RULES.glob("*.yaml"):
        (examples,) = (other for other in RULES.glob(f"{path.stem}.*") if other != path)
        for rule in YAML(typ="safe").load(path.read_text())["rules"]:
            assert f"ruleid: {rule['id']}" in examples.read_text()
            assert f"ok: {rule['id']}" in examples.read_text()
            assert rule["message"].endswith((".", "digest"))


def test_every_justification_has_a_reason() -> None:
    for listed in YAML(typ="safe").load(findings.JUSTIFIED.read_text()).values():
        assert all(len(entry["because"]) > 15 for entry in listed)
