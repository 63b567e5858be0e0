"""infra/terraform, held without its providers: they come from a registry that tests do not ask.

`terraform validate` runs in the workflow. Here python-hcl2 reads every file, and what validate would say is asked of
that: does each reference lead somewhere, is each module given what it asks for, has the provider such an argument.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.ship.tools import ROOT, python

TERRAFORM = ROOT / "infra/terraform"
ENVIRONMENTS = ("dev", "staging", "production")
FOLDERS = [*(f"environments/{name}" for name in ENVIRONMENTS), "platform"]
FOLDERS += [f"modules/{each.name}" for each in sorted((TERRAFORM / "modules").iterdir())]

Block = dict[str, Any]
PARSE = """
import hcl2, json, pathlib, sys
print(json.dumps({str(path): hcl2.loads(path.read_text()) for path in map(pathlib.Path, sys.argv[1:])}))
"""
MARKS = {"__comments__", "__is_block__"}
ANYWHERE = {"count", "depends_on", "for_each", "lifecycle", "provider"}
LOSES = {
    "linode_lke_cluster",
    "linode_database_postgresql_v2",
    "linode_object_storage_bucket",
    "linode_nodebalancer",
}


@cache
def files() -> Mapping[str, Block]:
    done = python("-c", PARSE, *sorted(TERRAFORM.rglob("*.tf")))
    assert done.returncode == 0, done.stderr
    parsed: Mapping[str, Block] = msgspec.json.decode(done.stdout)
    return {str(Path(path).relative_to(TERRAFORM)): _plain(block) for path, block in parsed.items()}


def _plain(value: Any) -> Any:
    """Without the quotes of literals, comments, and marks of blocks."""
    if isinstance(value, dict):
        return {_plain(name): _plain(part) for name, part in value.items() if name not in MARKS}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value[1:-1] if isinstance(value, str) and re.fullmatch(r'".*"', value, re.DOTALL) else value


def blocks(folder: str, kind: str) -> Iterator[Block]:
    """The blocks of a kind in a folder's files."""
    for path, parsed in files().items():
        if str(Path(path).parent) == folder:
            yield from parsed.get(kind, [])


def declared(folder: str, kind: str) -> dict[str, Block]:
    """Variables, outputs, modules or locals by name."""
    return {name: body for block in blocks(folder, kind) for name, body in block.items()}


def resources(folder: str, kind: str = "resource") -> dict[tuple[str, str], Block]:
    found = (block for block in blocks(folder, kind))
    return {(of, name): body for block in found for of, named in block.items() for name, body in named.items()}


def text(folder: str) -> str:
    """A folder's code, without comments and descriptions."""
    whole = "\n".join(path.read_text() for path in sorted((TERRAFORM / folder).glob("*.tf")))
    return re.sub(r"^\s*(#.*|description = .*|error_message = .*)$", "", whole, flags=re.MULTILINE)


@cache
def providers() -> Mapping[str, Mapping[str, Any]]:
    known: Mapping[str, Mapping[str, Any]] = msgspec.json.decode((ROOT / "tests/ship/providers.json").read_bytes())
    return known


def test_every_file_is_as_terraform_fmt_writes_it() -> None:
    terraform = shutil.which("terraform")
    if not terraform:
        pytest.skip("there is no terraform on the path; the workflow runs `terraform fmt -check`")
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    argv = [terraform, "fmt", "-check", "-recursive", "-no-color"]
    done = subprocess.run(argv, cwd=TERRAFORM, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_reference_leads_to_something_that_is_declared(folder: str) -> None:
    code = text(folder)
    assert set(re.findall(r"\bvar\.(\w+)", code)) == set(declared(folder, "variable")), "variables"
    assert set(re.findall(r"\blocal\.(\w+)", code)) <= set(declared(folder, "locals")), "locals"
    modules = declared(folder, "module")
    for module, output in re.findall(r"\bmodule\.(\w+)(?:\[[^]]+\])?(?:\.(\w+))?", code):
        where = os.path.normpath(Path(folder, modules[module]["source"]))
        assert not output or output in declared(where, "output"), f"module.{module}.{output}"
    for reference in re.findall(r"(?<![\w.\"])(?:ephemeral\.|data\.)?(?:linode|vault|random)_\w+\.\w+", code):
        kind, _, rest = reference.rpartition(".")[0].rpartition(".")
        name = reference.rpartition(".")[2]
        assert (rest, name) in resources(folder, kind or "resource"), reference


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_is_given_what_it_asks_for_and_no_more(folder: str) -> None:
    for name, call in declared(folder, "module").items():
        asked = declared(os.path.normpath(Path(folder, call["source"])), "variable")
        given = set(call) - {"source", "for_each"}
        assert given <= set(asked), f"{name} is given what it does not ask for: {given - set(asked)}"
        lacking = {variable for variable, body in asked.items() if "default" not in body} - given
        assert not lacking, f"{name} lacks {lacking}"


def unknown(body: Any, known: Any, path: str) -> Iterator[str]:
    """Arguments that the provider does not have, down through blocks."""
    for each in body if isinstance(body, list) else [body]:
        for name, value in undynamic(each):
            if name not in known:
                yield f"{path}.{name}"
            elif known[name] and isinstance(value, list | dict):
                yield from unknown(value, known[name], f"{path}.{name}")


def undynamic(body: Block) -> Iterator[tuple[str, Any]]:
    """Arguments and blocks, also those that are made by a `dynamic`."""
    for name, value in body.items():
        if name != "dynamic":
            yield name, value
            continue
        for block in value:
            yield from ((inner, of["content"]) for inner, of in block.items())


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_argument_is_one_that_the_provider_has(folder: str) -> None:
    for kind in ("resource", "data", "ephemeral"):
        for (of, name), body in resources(folder, kind).items():
            arguments = {argument: value for argument, value in body.items() if argument not in ANYWHERE}
            assert not list(unknown(arguments, providers()[kind][of], f"{of}.{name}"))


def test_every_folder_pins_the_same_exact_versions() -> None:
    pinned: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for block in blocks(folder, "terraform"):
            assert block["required_version"] == ">= 1.11, < 2.0", folder
            for asked in block["required_providers"]:
                for provider in asked.values():
                    pinned.setdefault(provider["source"], set()).add(provider["version"])
    assert set(pinned) == {"linode/linode", "hashicorp/vault", "hashicorp/random"}
    for source, versions in pinned.items():
        assert len(versions) == 1, source
        assert re.fullmatch(r"\d+\.\d+\.\d+", min(versions)), source


def test_no_secret_leaves_by_an_output() -> None:
    # What is secret goes from the module that has it into the secret store, and nowhere else.
    secret = {("database", "login"), ("storage", "keys")}
    for module, output in secret:
        assert declared(f"modules/{module}", "output")[output]["sensitive"] is True
    for name, call in declared("platform", "module").items():
        told = str({argument: value for argument, value in call.items() if argument != "source"})
        for module, output in secret:
            found = re.search(rf"\bmodule\.{module}(\[[^]]+\])?\.{output}\b", told)
            assert bool(found) == (name == "secrets"), name
    outputs = str(declared("platform", "output"))
    assert not re.search(r"\.(login|keys)\b|password|kubeconfig", outputs.replace("kubeconfig-view", ""))


def test_passwords_are_drawn_in_the_run_and_written_only() -> None:
    code = text("modules/secrets")
    assert 'ephemeral "random_password"' in code
    assert "data_json " not in code, "would be in the state"
    assert not any(of == "random_password" for folder in FOLDERS for of, _ in resources(folder))


def test_what_is_drawn_is_read_back_so_that_no_run_tells_one_without_the_others() -> None:
    code = text("modules/secrets")
    draws = re.findall(r"ephemeral\.random_password\.\w+", code)
    assert len(draws) == 1, "only what writes a draw may see it: every run draws anew"
    drawn = resources("modules/secrets")["vault_kv_secret_v2", "drawn"]
    assert "ephemeral.random_password" in drawn["data_json_wo"]
    assert drawn["data_json_wo_version"] == "${each.value}"
    # Written again when anything that it is made of is another: a draw, or where the database is.
    told = resources("modules/secrets")["vault_kv_secret_v2", "this"]
    assert "jsonencode([var.draws, var.database])" in told["data_json_wo_version"]
    logins = {f"postgresql-{of}" for of in ("api", "owner", "worker")}
    asked = set(re.findall(r'local\.drawn\["([a-z-]+)"\]', code)) | logins
    (names,) = (block["drawn"] for block in blocks("platform", "locals"))
    assert asked == {_plain(name) for name in names}


def test_a_restore_is_a_database_beside_the_one_that_it_begins_as() -> None:
    call = declared("platform", "module")["database"]
    assert call["for_each"] == "${var.database.instances}"
    assert call["restore_from"] == "${each.value.from}"
    for name in ENVIRONMENTS:
        of = declared(f"environments/{name}", "module")["platform"]["database"]
        instances = of.get("instances", {"first": {}})
        assert of.get("use", "first") in instances, name


def test_what_a_mistake_would_lose_is_protected() -> None:
    for folder in FOLDERS:
        for (of, name), body in resources(folder).items():
            if of in LOSES:
                assert body["lifecycle"][0]["prevent_destroy"] is True, f"{folder}: {of}.{name}"


def test_nothing_is_open_to_everybody_but_the_doors() -> None:
    cluster = resources("modules/cluster")["linode_lke_cluster", "this"]
    assert cluster["control_plane"][0]["acl"][0]["enabled"] is True
    for (of, name), body in resources("modules/network").items():
        if of == "linode_firewall":
            assert body["inbound_policy"] == "DROP", name
    for bucket in resources("modules/storage").values():
        assert bucket.get("acl", "private") == "private"
    for name in ENVIRONMENTS:
        call = declared(f"environments/{name}", "module")["platform"]
        assert "0.0.0.0/0" not in call["api_allow_ipv4"], name


def test_nodes_let_in_all_that_linode_says_a_cluster_needs() -> None:
    (local,) = (block for block in blocks("modules/network", "locals"))
    allowed = {(_plain(each["protocol"]), _plain(each["ports"])) for each in local["among_nodes"].values()}
    kubelet_and_proxy = {("TCP", "10250"), ("TCP", "10256")}
    names_and_routes = {("TCP", "53"), ("UDP", "53"), ("TCP", "179"), ("UDP", "51820")}
    assert kubelet_and_proxy | names_and_routes | {("TCP", "30000-32767"), ("UDP", "30000-32767")} <= allowed


def test_production_and_staging_have_the_same_shape() -> None:
    of = {name: declared(f"environments/{name}", "module")["platform"] for name in ENVIRONMENTS}
    assert set(of["staging"]) == set(of["production"])
    assert of["staging"]["private"] is of["production"]["private"] is True
    subnets = [call["subnet_ipv4"] for call in of.values() if "subnet_ipv4" in call]
    assert len(set(subnets)) == len(subnets), "they may be peered one day"
    states = {
        block["backend"][0]["s3"]["key"]
        for name in ENVIRONMENTS
        for block in blocks(f"environments/{name}", "terraform")
    }
    assert states == {f"{name}/terraform.tfstate" for name in ENVIRONMENTS}
