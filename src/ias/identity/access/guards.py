"""The gate of the management API: whoever is not let in by name shows an access token and holds the permission."""

from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from typing import cast
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from ias.contract.addresses import allows
from ias.identity.access.domain import Origin, Permission, Principal, Source
from ias.identity.access.queries import are_theirs, principal_of
from ias.identity.access.tokens import NotAuthenticated, read
from ias.problems import NotFound, Problem
from ias.settings import settings

PUBLIC = "exclude_from_auth"
"""Litestar's own name. A handler with `opt={PUBLIC: True}` is open to everybody; nothing else is."""

SOURCE_HEADER = "x-ias-source"

Connection = ASGIConnection[BaseRouteHandler, Principal, Origin, State]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


class PermissionMissing(Problem):
    """The principal's role does not have the permission."""

    status = 403
    title = "Permission missing"


class Authentication(AbstractAuthenticationMiddleware):
    """Puts the Principal behind `Authorization: Bearer …` into the request."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated("send an access token: Authorization: Bearer <token>")
        origin = origin_of(connection)
        access = read(token.strip(), settings().jwt_secret.get_secret_value())
        return AuthenticationResult(user=await principal_of(access, origin), auth=origin)


def requires(permission: Permission) -> Guard:
    """A guard that lets in whoever holds the permission; the API's document reads it off the guard."""
    return partial(_let_in, permission)


async def _let_in(permission: Permission, connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever may not, and asks for what is another organisation's, is told that there is no such thing."""
    if connection.user.may(permission):
        return
    named = {name: value for name, value in connection.path_params.items() if isinstance(value, UUID)}
    if not await are_theirs(connection.user, named):
        raise NotFound("there is no such thing")
    raise PermissionMissing(f"this needs the permission {permission.value}, which your role does not have")


def origin_of(connection: Connection) -> Origin:
    """The door, which a client can only say to be the CLI, and the request's id."""
    source = Source.CLI if connection.headers.get(SOURCE_HEADER) == Source.CLI else Source.API
    request_id = str(connection.scope["state"].get("request_id", ""))
    return Origin(source, request_id, connection.headers.get("if-match", ""), _client(connection))


def _client(connection: Connection) -> str:
    """The address that the request comes from: the last one in `X-Forwarded-For` that no trusted proxy has."""
    hops = [hop.strip() for hop in connection.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    address = connection.client.host if connection.client else ""
    while hops and _is_trusted(address):
        address = hops.pop()
    return address


def _is_trusted(address: str) -> bool:
    try:
        return allows(settings().trusted_proxies, ip_address(address))
    except ValueError:
        return False


def provide_principal(request: Request[Principal, Origin, State]) -> Principal:
    """The dependency `principal`."""
    return request.user


def provide_origin(request: Request[Principal, Origin, State]) -> Origin:
    """The dependency `origin`, for handlers that are open to everybody."""
    return origin_of(cast("Connection", request))
