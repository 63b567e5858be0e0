"""A model as it is registered and seen, and which backends it may have."""

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from ias.billing.catalogue.prices import Money, bad_model, faults_in
from ias.contract.addresses import Network, allows, unwrapped, why_not
from ias.contract.catalogue import ModelRoute
from ias.identity.values import ManagedBy
from ias.problems import FieldError

Tokens = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
ImageTokens = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Overhead = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
MOST_BACKENDS = 64
USUAL_OUTPUT = 1024
NOT_ENGINES = frozenset(
    {21, 22, 23, 25, 53, 110, 143, 389, 1433, 1521, 2379, 2380, 3306, 4369, 5432, 5671, 5672, 6379, 9042, 9200, 11211}
    | {15672, 25672, 26379, 27017}
)
"""Ports of databases, brokers, mail and shells: nothing that answers there is a model."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")
_METADATA_SERVICE = ipaddress.IPv4Address("169.254.169.254")
_METADATA = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An engine: its base URL, such as `http://llama.inference:8000`."""

    url: str


class NewModel(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is asked for. Lengths are tokens, rates money per 1,000 tokens."""

    name: str
    backends: list[Backend]
    upstream_name: str | None = None
    enabled: bool = True
    context_length: Tokens = 8192
    max_output_tokens: Tokens | None = None
    """Where it is left out, 1024, or half of a short context."""
    tenant_salt: bool = True
    image_tokens: ImageTokens = 0
    """What an image is held as until its tokens are known, at least as many as one can be; 0: it takes no images."""
    prompt_overhead: Overhead = 0
    """Tokens at most that its template adds to a prompt by itself: a system prompt, a reranker's instruction."""
    input_rate: Money = Decimal(0)
    output_rate: Money = Decimal(0)
    cached_input_rate: Money | None = None
    """Where it is left out, cached prompt tokens cost what others cost."""


class ModelChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to change; what is left out stays. New rates hold for requests that start from now on."""

    backends: list[Backend] | UnsetType = UNSET
    upstream_name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    context_length: Tokens | UnsetType = UNSET
    max_output_tokens: Tokens | UnsetType = UNSET
    tenant_salt: bool | UnsetType = UNSET
    image_tokens: ImageTokens | UnsetType = UNSET
    prompt_overhead: Overhead | UnsetType = UNSET
    input_rate: Money | UnsetType = UNSET
    output_rate: Money | UnsetType = UNSET
    cached_input_rate: Money | UnsetType = UNSET


class Model(msgspec.Struct, kw_only=True, frozen=True):
    """A model of the catalogue. `backends` is shown only to those who may change it."""

    id: UUID
    name: str
    upstream_name: str
    enabled: bool
    context_length: int
    max_output_tokens: int
    tenant_salt: bool
    image_tokens: int = 0
    prompt_overhead: int = 0
    input_rate: Money
    output_rate: Money
    cached_input_rate: Money
    created_at: datetime
    updated_at: datetime
    backends: tuple[Backend, ...] | UnsetType = UNSET

    def route(self) -> ModelRoute:
        """What gateways have to know to serve it."""
        backends = () if self.backends is UNSET else self.backends
        return ModelRoute(
            name=self.name,
            model_id=str(self.id),
            upstream_name=self.upstream_name,
            replicas=tuple(backend.url for backend in backends),
            context_length=self.context_length,
            max_output_tokens=self.max_output_tokens,
            tenant_salt=self.tenant_salt,
            image_tokens=self.image_tokens,
            prompt_overhead=self.prompt_overhead,
            created=int(self.created_at.timestamp()),
        )


class ModelAccess(msgspec.Struct, forbid_unknown_fields=True):
    """The names of the models that an organisation may call; null is every model."""

    models: list[str] | None


class AccessInForce(ModelAccess, kw_only=True):
    """The names of the models that an organisation may call; null is every model.

    `managed_by` is the file in Git that puts back what is changed elsewhere, as far as it has lines for it; it may be
    sent back with the rest, and changes nothing.
    """

    managed_by: ManagedBy | None = None

    def lasting(self) -> ModelAccess:
        """The models themselves."""
        return ModelAccess(models=self.models)


def check(model: Model, *, allowed: Sequence[Network]) -> Model:
    """The model with its backends written in one form.

    Raises:
        BadModel: names every field that is wrong.
    """
    errors = [*_names(model), *_lengths(model), *_rates(model)]
    backends = []
    for place, backend in enumerate(() if model.backends is UNSET else model.backends):
        try:
            backends.append(Backend(base_url(backend.url, allowed=allowed)))
        except ValueError as error:
            errors.append(FieldError(f"/backends/{place}/url", str(error)))
    if not errors and not 1 <= len(set(backends)) <= MOST_BACKENDS:
        errors.append(FieldError("/backends", f"must be 1 to {MOST_BACKENDS} engines"))
    if errors:
        raise bad_model(errors)
    return msgspec.structs.replace(model, backends=tuple(dict.fromkeys(backends)))


def base_url(url: str, *, allowed: Sequence[Network]) -> str:
    """An engine's base URL in one form: scheme, host and, where it was given, port.

    Raises:
        ValueError: gateways must not be sent there; the message says why.
    """
    if not url.isascii() or any(character <= " " or character in '\\\x7f"<>^`{|}' for character in url):
        raise ValueError("must be a URL of printable ASCII characters, such as http://llama.inference:8000")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must not have a user name or password in it")
    if parts.path not in {"", "/"} or "?" in url or "#" in url:
        raise ValueError("must be a base URL without path, query and fragment; the gateway adds /v1/…")
    host, port = _host(parts, allowed=allowed), _port(parts)
    return f"{parts.scheme}://{host}" if port is None else f"{parts.scheme}://{host}:{port}"


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("must have a port from 1 to 65535, or none") from None
    if port == 0 or port in NOT_ENGINES:
        raise ValueError(f"port {port} is not one that engines listen on")
    return port


def _host(parts: SplitResult, *, allowed: Sequence[Network]) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _host_name(host, allowed=allowed)
    shown = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
    public = allows(allowed, address) or unwrapped(address).is_global
    kind = why_not(address, allowed) or (None if public else "a private address")
    if kind is not None:
        raise ValueError(
            f"{shown} is {kind}; use the engine's public address or name, or list its network in IAS_UPSTREAM_ALLOW"
        )
    return shown


def _host_name(host: str, *, allowed: Sequence[Network]) -> str:
    labels = host.split(".")
    if len(host) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        raise ValueError("must have a host name or an address")
    if _NUMERIC.fullmatch(labels[-1]):
        raise ValueError("must not have an address in an unusual spelling")
    stands_for = _LOOPBACK if labels[-1] == "localhost" else _METADATA_SERVICE if host in _METADATA else None
    if stands_for is not None and not allows(allowed, stands_for):
        raise ValueError(
            f"{host} is this machine or its cloud's metadata; use the engine's own name, or list {stands_for} in "
            "IAS_UPSTREAM_ALLOW"
        )
    return host


def _names(model: Model) -> list[FieldError]:
    rule = "must be 1 to 128 letters, digits and . _ : / @ + - and begin with a letter or digit"
    fields = {"/name": model.name} | (
        {} if model.upstream_name == model.name else {"/upstream_name": model.upstream_name}
    )
    return [FieldError(pointer, rule) for pointer, name in fields.items() if not _NAME.fullmatch(name)]


def _lengths(model: Model) -> list[FieldError]:
    rule = "must be less than context_length, which prompt and output share"
    lengths = {"/max_output_tokens": model.max_output_tokens, "/prompt_overhead": model.prompt_overhead}
    return [FieldError(pointer, rule) for pointer, length in lengths.items() if length >= model.context_length]


def _rates(model: Model) -> list[FieldError]:
    return faults_in(model.input_rate, model.output_rate, model.cached_input_rate)
