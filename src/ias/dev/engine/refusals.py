"""Errors as vLLM words them: an integer code, and three ways to fill `type` and `param`."""

from http import HTTPStatus

import msgspec

BUSY = "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance."


NOT_FOUND = b'{"detail":"Not Found"}'


class Refused(Exception):
    """A request is not answered. `kind` is the error's `type`, `param` the field at fault."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return error_body(self.status, str(self), self.kind, self.param)


class NoSuchRoute(Refused):
    """A model does not do this: vLLM then has no such route, and answers in FastAPI's words, not in its error shape."""

    def __init__(self) -> None:
        super().__init__(404, "Not Found")

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return NOT_FOUND


def error_body(status: int, message: str, kind: str, param: str | None = None) -> bytes:
    """An error in vLLM's shape."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": status}})


def bad_field(param: str, message: str, value: object = None) -> Refused:
    """A value that vLLM's own checks refuse: the field is named in the text too."""
    given = "" if value is None else f", value={value}"
    return Refused(400, f"{message} (parameter={param}{given})", param=param)


def bad_body(where: str, message: str, kind: str = "value_error") -> Refused:
    """A body that does not fit its schema, `where` from the body down (`body.max_tokens`)."""
    text = f"1 validation error:\n  {{'type': '{kind}', 'loc': '{where}', 'msg': {message!r}}}"
    return Refused(400, text, "Bad Request", where)


def missing(*fields: str) -> Refused:
    """A body that lacks all of these, where one would do."""
    told = [f"  {{'type': 'missing', 'loc': 'body.{field}', 'msg': 'Field required'}}" for field in fields]
    return Refused(400, "\n".join((f"{len(told)} validation errors:", *told)), "Bad Request", f"body.{fields[0]}")


def unknown_model(model: str, aliases: tuple[str, ...]) -> Refused:
    """No such model."""
    message = f"The model `{model}` does not exist. Valid aliases: {', '.join(aliases)}."
    return Refused(404, message, "NotFoundError", "model")


def unsupported(message: str) -> Refused:
    """What vLLM has not built."""
    return Refused(HTTPStatus.NOT_IMPLEMENTED, message, _kind(HTTPStatus.NOT_IMPLEMENTED))


def told_to(status: int) -> Refused:
    """The status that a directive or a setting asked for."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Refused(status, BUSY, HTTPStatus(status).phrase)
    try:
        kind = _kind(HTTPStatus(status))
    except ValueError:
        kind = "Error"
    return Refused(status, f"The mock engine was told to answer {status}.", kind)


def _kind(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "") + "Error"
