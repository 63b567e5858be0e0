"""What all bodies can do that an engine answers, whatever endpoint they are for."""

from typing import Protocol

from ias.contract.admission import Ask


class Body(Protocol):
    """A request's body, decoded."""

    __slots__ = ()

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold. Raises BadBody."""

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:
        """The body for the engine: its name of the model, the output limit granted, the tenant's cache salt.

        It may be asked for again, with another limit; `wants_usage` has to be asked before. Raises BadBody.
        """

    def wants_usage(self) -> tuple[bool, bool]:
        """Whether the client of a stream asked for usage at its end, and for running usage."""

    def beginning(self) -> bytes:
        """How the prompt begins: requests that share it share a prefix cache. Raises BadBody."""
