"""`POST /v1/chat/completions`."""

from typing import Final

import msgspec

from ias.contract.admission import NOT_ASKED, Ask
from ias_gateway.bodies import conversation, metered
from ias_gateway.bodies.body import Body
from ias_gateway.bodies.chat_fields import UNUSED, Chat, Usual, decode_usual, decoder
from ias_gateway.bodies.metered import MAX_OUTPUT
from ias_gateway.bodies.prompts import beginning
from ias_gateway.bodies.strict import check_depth, check_template, decode, encode, printed, salted, within

OPENING: Final = 4
"""Messages at most that say which conversation it is."""
_decode_usual: Final = decode_usual
_unreadable: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ChatBody(Body):
    """A chat.

    Attributes:
        given: what of the request travels.
        rare: the same where it has fields that few requests have, else None.
    """

    __slots__ = ("_bound", "_images", "_printed", "given", "rare")

    def __init__(self, given: Usual | Chat, rare: Chat | None) -> None:
        self.given = given
        self.rare = rare
        self._bound = self._images = 0
        tools, kwargs, shape = given.tools, given.chat_template_kwargs, given.response_format
        documents = None if rare is None else rare.documents
        # What a template may print.
        self._printed = (tools, kwargs, shape, documents) if tools or kwargs or shape or documents else None

    def check(self) -> None:
        """Refuse what is out of range, or cannot be served.

        Raises:
            BadBody: it names the field.
        """
        given, rare = self.given, self.rare
        metered.check(given)
        if given.max_completion_tokens is not None:
            within("max_completion_tokens", given.max_completion_tokens, MAX_OUTPUT)
        self._bound, self._images = conversation.measured(given.messages)
        choice, outputs = given.tool_choice, None if rare is None else rare.structured_outputs
        if self._printed is not None or choice or outputs:
            check_template(given.chat_template_kwargs)
            check_depth(given.tools, given.chat_template_kwargs, given.response_format, outputs, choice)

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold: a strict upper bound of its prompt, and its output limit."""
        given, bound = self.given, self._bound
        if self._printed is not None:
            bound += printed(self._printed)
        limit = given.max_completion_tokens or given.max_tokens or NOT_ASKED
        return Ask(given.model, bound, given.n or 1, limit, endpoint, bool(given.stream), self._images)

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:
        """The body for the engine: its name of the model, the output limit granted, running usage on streams."""
        given = self.given
        given.model = name
        given.max_completion_tokens = output
        given.max_tokens = given.user = None
        metered.meter(given)
        return salted(encode(given), salt)

    def wants_usage(self) -> tuple[bool, bool]:
        """Whether the client of a stream asked for usage at its end, and for running usage."""
        return metered.wants_usage(self.given)

    def beginning(self) -> bytes:
        """How the conversation begins, up to what its user says first: all of its turns share a prefix cache."""
        begun = b""
        for message in self.given.messages[:OPENING]:
            content = message.content
            begun += beginning(content if isinstance(content, str) else [part.text for part in content or ()])
            if message.role == "user":
                break
        return begun


def read(raw: bytes) -> ChatBody:
    """The body of a request.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing, of the wrong type or out of range.
    """
    try:
        body = ChatBody(_decode_usual(raw), None)
    except _unreadable:
        rare = _read_all(raw)
        body = ChatBody(rare, rare)
    body.check()
    return body


def _read_all(raw: bytes) -> Chat:
    """A body that has more in it than is usual, of which what does not travel is dropped here; or that is refused."""
    given = decode(decoder, raw)
    for name in UNUSED:
        setattr(given, name, None)
    return given
