"""`POST /tokenize` and `/detokenize`: they hold no tokens and count against the request rate alone."""

import msgspec

from ias.contract.admission import NO_TOKENS, Ask
from ias_gateway.bodies import conversation
from ias_gateway.bodies.messages import Message
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON, BadBody, Token, check_depth, check_template, decode, encode


class Tokenizer(Strict, kw_only=True):
    """What both requests share."""

    model: str

    def ask(self, endpoint: str) -> Ask:
        """Nothing is held."""
        return Ask(self.model, 0, 1, NO_TOKENS, endpoint, streamed=False)

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:  # noqa: ARG002 - nothing is generated or cached
        """The body for the engine: its name of the model."""
        self.model = name
        return encode(self)

    def wants_usage(self) -> tuple[bool, bool]:
        """There is no stream."""
        return False, False

    def beginning(self) -> bytes:
        """No cache is shared."""
        return b""


class Tokenize(Tokenizer, kw_only=True):
    """`POST /tokenize`: of a prompt or of a chat."""

    prompt: str | None = None
    messages: list[Message] | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, JSON] | None = None
    tools: list[dict[str, JSON]] | None = None


class Detokenize(Tokenizer, kw_only=True):
    """`POST /detokenize`."""

    tokens: list[Token]


_tokenize_decoder = msgspec.json.Decoder(Tokenize)
_detokenize_decoder = msgspec.json.Decoder(Detokenize)


def read_tokenize(raw: bytes) -> Tokenize:
    """The body of a request to tokenize.

    Raises:
        BadBody: it is not JSON, a field is unknown or of the wrong type, or there is no text.
    """
    body = decode(_tokenize_decoder, raw)
    if (body.prompt is None) == (body.messages is None):
        raise BadBody("prompt: give either `prompt` or `messages`.", "prompt")
    if body.messages is not None and conversation.measured(body.messages)[1]:
        raise BadBody("messages: images are not tokenized here; leave them out.", "messages")
    check_template(body.chat_template_kwargs)
    check_depth(body.chat_template_kwargs, body.tools)
    return body


def read_detokenize(raw: bytes) -> Detokenize:
    """The body of a request to detokenize.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing or of the wrong type.
    """
    return decode(_detokenize_decoder, raw)
