"""docs/settings.md: every `IAS_*` variable of every process, made of the settings classes."""

import ast
import inspect
import types
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from ias.dev.settings import AskedPorts
from ias.settings import Settings
from ias.terminal.settings import TerminalSettings
from ias_gateway.settings import GatewaySettings
from scripts.manual.json_types import cell


class _Section(NamedTuple):
    """A settings class, and which processes read it."""

    heading: str
    read_by: str
    settings: type[BaseSettings]


_SECTIONS = (
    _Section("The gateway", "`ias-gateway`", GatewaySettings),
    _Section("Api, worker and commands", "`ias api`, `ias worker`, `ias migrate`, `ias doctor` and the like", Settings),
    _Section("The client", "`ias-admin`", TerminalSettings),
    _Section("The stack of one machine", "`make up` and `ias dev up`, which set all others themselves", AskedPorts),
)
_SIGNS = {Ge: "≥ {.ge}", Gt: "> {.gt}", Le: "≤ {.le}", Lt: "< {.lt}", MinLen: "{.min_length} characters or more"}
_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "folder",
    SecretStr: "secret",
    IPv4Network: "network",
    IPv6Network: "network",
}
_MEANINGS = {
    "gateway_host": "Where clients are listened to.",
    "gateway_port": "The port that clients come to.",
    "gateway_metrics_host": "Where `/health`, `/ready` and `/metrics` are listened to.",
    "gateway_metrics_port": "The port of `/health`, `/ready` and `/metrics`.",
    "max_body_bytes": "The longest JSON body.",
    "head_timeout": "Seconds for a request's head to come.",
    "body_timeout": "Seconds for its body to come.",
    "lease": "Seconds after which a reservation whose gateway is silent is settled by a worker.",
    "first_token_timeout": "Seconds for an engine's first byte.",
    "idle_timeout": "Seconds between two pieces of an engine's answer.",
    "total_timeout": "Seconds for a whole request.",
    "redis_timeout_ms": "Milliseconds for an answer of Redis; then the client gets 503.",
    "drain_timeout": "Seconds that open requests get to end after SIGTERM.",
    "access_log": "Whether each request is a line of the log.",
    "log_level": "The least severe lines that are logged.",
    "database_pool": "Connections to PostgreSQL of a process.",
    "jwt_secret": "Signs access tokens; seals repositories' credentials. Another one ends all sessions.",
    "api_host": "Where the API and the console are listened to.",
    "api_port": "The port of the API and the console.",
    "worker_host": "Where a worker's `/health`, `/ready` and `/metrics` are listened to.",
    "worker_port": "The port of a worker's `/health`, `/ready` and `/metrics`.",
    "bcrypt_cost": "The logarithm of bcrypt's rounds.",
    "migrations_dir": "Where the migrations are.",
    "engine_port": "The port of the mock engine.",
    "engine_control_port": "The port where the mock engine's faults are ordered.",
    "postgres_port": "The port of the embedded PostgreSQL.",
    "valkey_port": "The port of the embedded Valkey.",
    "vllm_port": "The port of vLLM, with `MODEL=smollm2`.",
}
"""Of fields that need no text where they stand."""
_HERE = {
    "gateway_name": "the host's name and eight random digits",
    "gitops_dir": "`ias/gitops` in the user's cache folder",
    "migrations_dir": "the folder that came with `ias`",
}
"""Defaults that differ between machines."""


def page() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# Settings",
        "",
        "Each process reads its environment once, at its start, and nothing else: no file, no flag. A bad value ends",
        "it with one line that names the variable, never its value. Variables that a process does not know are",
        "ignored. What is in seconds ends in `_S` or says so.",
        "",
        "This page is made of the settings classes: `nox -s manual` writes it.",
    )
    for section in _SECTIONS:
        yield from ("", f"## {section.heading}", "", f"Read by {section.read_by}.", "")
        yield from ("| variable | takes | default | meaning |", "| --- | --- | --- | --- |")
        said = _docstrings(section.settings)
        for name, field in section.settings.model_fields.items():
            meaning = cell(field.description or said.get(name) or _MEANINGS[name])
            yield f"| `IAS_{name.upper()}` | {_takes(field)} | {_default(name, field)} | {meaning} |"


def _docstrings(settings: type[BaseSettings]) -> dict[str, str]:
    """The text below each field."""
    body = ast.parse(inspect.getsource(settings)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
    found: dict[str, str] = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[field.target.id] = inspect.cleandoc(str(after.value.value))
    return found


def _takes(field: FieldInfo) -> str:
    told = [_kind(field.annotation)]
    for one in field.metadata:
        told += [form.format(one) for sign, form in _SIGNS.items() if isinstance(one, sign)]
    return ", ".join(told)


def _kind(kind: object) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _kind(parts[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in parts)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_kind(part) for part in parts if part is not types.NoneType))
    if origin is tuple:
        return f"list of {_kind(parts[0])}s" if _kind(parts[0]) != "text" else "list of names"
    return _NAMES[kind]  # type: ignore[index]


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "**must be set**"
    if name in _HERE:
        return _HERE[name]
    value = field.default
    if value in {None, "", ()} or (isinstance(value, SecretStr) and not value.get_secret_value()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
