"""How Node's SDK gets here: locked by hashes, from any registry; one that is out of reach is said, not passed over."""

from pathlib import Path

import msgspec
import pytest

from tests.sdk import nodejs


def test_the_lock_has_hashes_and_no_address_of_a_registry() -> None:
    text = (nodejs.SCRIPTS / "package-lock.json").read_text()
    assert '"resolved"' not in text
    packages = msgspec.json.decode(text)["packages"]
    fetched = [package for name, package in packages.items() if name]
    assert fetched
    assert all(package["integrity"].startswith("sha512-") for package in fetched)
    assert packages[""]["dependencies"] == {
        name.rpartition("/")[2]: one["version"] for name, one in packages.items() if name
    }


def test_a_registry_out_of_reach_is_told_apart_from_a_lock_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(nodejs.NoNode, match="npm cannot reach its registry"):
        nodejs.install(tmp_path / "here")
    assert not (tmp_path / "here/installed").exists()
    monkeypatch.setattr(nodejs, "SCRIPTS", tmp_path / "other")
    (tmp_path / "other").mkdir()
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "other" / name).write_text("no JSON")
    with pytest.raises(RuntimeError, match="npm ci failed"):
        nodejs.install(tmp_path / "here")
