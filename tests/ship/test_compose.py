"""compose.yaml: what it promises. `nox -s images` runs what it runs, but for the containers."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ias.settings import Settings
from ias_gateway.settings import GatewaySettings
from tests.images.dockerfile import read
from tests.ship.tools import python, tool

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "compose.yaml"
SCHEMA = ROOT / "tests/ship/schemas/compose-spec.json"  # vendored from check-jsonschema; Apache-2.0, see beside it
COMPOSE = YAML(typ="safe").load(FILE)
SERVICES = COMPOSE["services"]
ONCE = {"migrate", "admin", "models"}
"""What runs to its end and is not looked at."""
WITHOUT_A_PROGRAM = {"loki", "tempo", "collector"}
"""Images that have nothing that could ask."""
ROOTS = {"models", "collector"}
"""One gives a new volume to its user, the other reads what containers write: root, without any of its rights."""
OURS = {name: "gateway" if name == "gateway" else "ias" for name in SERVICES if "build" in SERVICES[name]}
PROCESSES = {"gateway": GatewaySettings, "api": Settings, "worker": Settings, "migrate": Settings, "admin": Settings}
OF_THE_CLIENT = {"IAS_API_URL"}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")

each = pytest.mark.parametrize("name", SERVICES)


def _env(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def _texts(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for value in part.values():
            yield from _texts(value)
    elif isinstance(part, list):
        for value in part:
            yield from _texts(value)
    else:
        yield str(part)


def test_it_is_a_compose_file_by_the_specifications_own_schema() -> None:
    told = (
        "import json, sys, yaml, jsonschema;"
        "schema = json.load(open(sys.argv[1]));"
        "faults = list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(open(sys.argv[2]))));"
        "sys.exit('\\n'.join(f'{fault.json_path}: {fault.message}' for fault in faults) or 0)"
    )
    done = python("-c", told, SCHEMA, FILE)
    assert done.returncode == 0, done.stderr


def test_no_script_that_it_mounts_has_a_fault_that_shellcheck_knows() -> None:
    scripts = [path for path in (ROOT / "deploy/compose").rglob("*") if path.is_file() and _is_shell(path)]
    assert len(scripts) >= 3
    done = tool("shellcheck", *scripts)
    assert done.returncode == 0, done.stdout


def _is_shell(path: Path) -> bool:
    return path.read_text().startswith("#!/bin/sh")


@each
def test_a_service_cannot_write_to_its_files_and_has_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert "pid" not in service
    assert "ipc" not in service
    assert service.get("network_mode") in {None, "none"}
    assert service.get("cap_add", []) == (["CHOWN"] if name == "models" else [])


@each
def test_a_service_is_not_root(name: str) -> None:
    user = SERVICES[name].get("user") or read(ROOT / f"images/{OURS[name]}/Dockerfile")[-1].last("USER").rest
    assert (user.split(":")[0] in {"0", "root"}) == (name in ROOTS)


@each
def test_a_service_is_asked_for_its_health_unless_it_runs_to_its_end(name: str) -> None:
    asked = SERVICES[name]["healthcheck"]
    if name in ONCE | WITHOUT_A_PROGRAM:
        assert asked == {"disable": True}
    else:
        assert asked["test"][0] in {"CMD", "CMD-SHELL"}
    assert (SERVICES[name]["restart"] == "no") == (name in ONCE)


@each
def test_a_service_has_bounds(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert limits["memory"]
    assert limits["pids"]
    assert SERVICES[name]["logging"]["options"]["max-size"]


@each
def test_an_image_is_of_a_release_and_never_the_latest(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition("/")[2].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+\S*|\$\{TAG:-\d+\.\d+\.\d+\}", tag), SERVICES[name]["image"]


def test_only_the_two_doors_and_grafana_are_published_and_on_this_machine_unless_it_is_said() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() <= {"door", "api", "grafana"}
    assert {"door", "api"} <= published.keys()
    for ports in published.values():
        assert all(str(port).startswith("${BIND:-127.0.0.1}:") for port in ports)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_told_what_it_needs_and_nothing_that_it_does_not_know(name: str) -> None:
    image = read(ROOT / f"images/{OURS[name]}/Dockerfile")[-1]
    given = {key for key in {**image.env, **_env(name)} if key.startswith("IAS_")} - OF_THE_CLIENT
    fields = PROCESSES[name].model_fields
    known = {f"IAS_{field.upper()}" for field in fields}
    needed = {f"IAS_{field.upper()}" for field, info in fields.items() if info.is_required()}
    assert given <= known
    assert needed <= given


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_takes_the_settings_that_it_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = read(ROOT / f"images/{OURS[name]}/Dockerfile")[-1]
    for key, value in {**image.env, **_env(name)}.items():
        if key.startswith("IAS_"):
            monkeypatch.setenv(
                key, VARIABLE.sub(lambda found: "s" * 40 if found[2] == "?" else found[3] or "", str(value))
            )
    PROCESSES[name]()


def test_nothing_else_is_told_anything_that_only_our_processes_know() -> None:
    for name in SERVICES.keys() - PROCESSES.keys():
        assert not [key for key in _env(name) if key.startswith("IAS_")], name


def test_only_migrations_are_told_the_owners_password_and_only_the_gateway_its_own() -> None:
    def knows(secret: str) -> set[str]:
        return {name for name in SERVICES if any(secret in text for text in _texts(_env(name)))}

    assert knows("POSTGRES_OWNER_PASSWORD") == {"migrate", "postgres"}
    assert knows("REDIS_GATEWAY_PASSWORD") == {"gateway", "redis"}
    assert knows("CACHE_SALT_SECRET") == {"gateway"}
    assert knows("RABBITMQ_PASSWORD") == {"api", "worker", "migrate", "admin", "rabbitmq"}
    assert knows("POSTGRES_PASSWORD") == {"postgres"}


def test_without_a_secret_nothing_starts() -> None:
    for text in _texts(SERVICES):
        for found in VARIABLE.finditer(text):
            if found[1].endswith("_PASSWORD") or found[1] in {"JWT_SECRET", "CACHE_SALT_SECRET"}:
                assert found[2] == "?", f"{found[0]} would be empty"


def test_the_example_names_every_variable_and_no_secret() -> None:
    asked = {found[1] for text in _texts(SERVICES) for found in VARIABLE.finditer(text)}
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    example = dict(line.split("=", 1) for line in lines)
    assert asked == example.keys()
    assert not [name for name, value in example.items() if value and name.endswith(("_PASSWORD", "_SECRET", "_TOKEN"))]


def test_the_examples_values_are_those_that_hold_without_it() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    example = dict(line.split("=", 1) for line in lines)
    for text in _texts(SERVICES):
        for found in VARIABLE.finditer(text):
            if found[2] == "-":
                assert example[found[1]] == found[3], found[0]


def test_secrets_are_made_once_and_stay(tmp_path: Path) -> None:
    (tmp_path / "deploy/compose").mkdir(parents=True)
    script = tmp_path / "deploy/compose/make-env"
    script.write_bytes((ROOT / "deploy/compose/make-env").read_bytes())
    (tmp_path / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    made = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        made.append((tmp_path / ".env").read_text())
        (tmp_path / ".env").write_text(
            re.sub(r"(?m)^TAG=.*$", "TAG=0.2.0-mine", made[-1]) + ("MINE=1\n" if len(made) == 1 else "")
        )
    first, second = (dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#") for text in made)
    assert {**first, "TAG": "0.2.0-mine", "MINE": "1"} == second
    secrets = [
        value
        for name, value in first.items()
        if name.endswith("_PASSWORD") or name in {"JWT_SECRET", "CACHE_SALT_SECRET"}
    ]
    assert len(secrets) == len(set(secrets)) >= 8
    assert all(re.fullmatch(r"[0-9a-f]{48}", secret) for secret in secrets), "they are parts of URLs"
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_networks_let_through_the_arrows_of_the_design_and_no_others() -> None:
    def meet(one: str, other: str) -> bool:
        return bool(set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]))

    assert meet("gateway", "redis")
    assert meet("gateway", "engine")
    assert meet("gateway", "vllm")
    assert not meet("gateway", "postgres")
    for name in ("api", "worker", "migrate"):
        assert all(meet(name, store) for store in ("postgres", "redis", "rabbitmq"))
        assert not meet(name, "engine")
    for name in ("postgres", "redis", "rabbitmq", "gateway"):
        assert not set(SERVICES[name]["networks"]) & {"front", "out"}
    inner = {name for name, network in COMPOSE["networks"].items() if (network or {}).get("internal")}
    assert {"edge", "cache", "store", "watch"} == inner


def test_redis_lets_its_users_do_what_the_document_says() -> None:
    rules = dict(re.findall(r"```acl (\w+)\non >secret (.*)\n```", (ROOT / "docs/redis.md").read_text()))
    script = (ROOT / "deploy/compose/redis/start.sh").read_text()
    given = dict(re.findall(r"^user (\w+) on >\$\{\w+\} (.*)$", script, re.MULTILINE))
    assert rules.keys() == {"gateway", "monolith"}
    assert rules == given
    for line in ("appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"):
        assert f"\n{line}\n" in script


def test_two_gateways_share_one_port_and_each_has_time_to_drain() -> None:
    gateway = SERVICES["gateway"]
    assert gateway["deploy"]["replicas"] == 2
    assert "ports" not in gateway
    assert "container_name" not in gateway
    assert _seconds(gateway["stop_grace_period"]) > GatewaySettings.model_fields["drain_timeout"].default + 9
    patience = int(re.search(r"timeout server (\d+)s", (ROOT / "deploy/compose/door/haproxy.cfg").read_text())[1])
    assert patience > GatewaySettings.model_fields["total_timeout"].default


def _seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_engine_says_what_the_ledger_bills_by() -> None:
    flags = SERVICES["vllm"]["command"]
    assert {"--enable-prompt-tokens-details", "--enable-request-id-headers"} <= set(flags)
    assert SERVICES["vllm"]["profiles"] == ["gpu"]


@each
def test_whatever_is_mounted_from_the_tree_is_there_and_cannot_be_written(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, options = volume.split(":", 2) if volume.count(":") == 2 else (*volume.split(":"), "")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert options == "ro"
        elif source.startswith("/"):
            assert (name, options) == ("collector", "ro")
        else:
            assert source in COMPOSE["volumes"]


def test_the_commands_in_its_head_name_what_is_there() -> None:
    head = [line.lstrip("# ") for line in FILE.read_text().splitlines()[:8] if line.startswith("#   ")]
    assert (ROOT / shlex.split(head[0])[0]).stat().st_mode & 0o111
    assert "admin" in SERVICES
    for profile in re.findall(r"--profile (\w+)", FILE.read_text()[:700]):
        assert [name for name, service in SERVICES.items() if profile in service.get("profiles", [])], profile
