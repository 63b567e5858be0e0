"""`POST /tokenize` and `/detokenize`."""

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.engine import Engine
from ias.dev.engine.parts import Eye
from ias.dev.engine.refusals import Refused, missing
from ias.dev.engine.requests import Message, decoder, read, tools_json
from ias.dev.engine.routes.admission import admit
from ias.dev.engine.routes.prompts import spoken
from ias.dev.engine.server import Connection


class Tokenize(msgspec.Struct, kw_only=True):
    """The body with a text or with messages."""

    model: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None
    tools: msgspec.Raw = msgspec.Raw()
    add_generation_prompt: bool | None = None
    continue_final_message: bool = False
    return_token_strs: bool | None = None


class Detokenize(msgspec.Struct, kw_only=True):
    """The body with tokens."""

    model: str | None = None
    tokens: list[int]


_tokenize = decoder(Tokenize)
_detokenize = decoder(Detokenize)


def tokenize(engine: Engine, connection: Connection) -> None:
    """The tokens of a prompt or of a chat.

    Raises:
        Refused: it cannot be answered.
    """
    request = connection.request
    asked = read(request.body, request.content_type, _tokenize)
    inked = _ink(engine, asked)
    found = tokens.ids(inked)
    strings = [tokens.text_of([token]) for token in found] if asked.return_token_strs else None
    answer = {"count": len(found), "max_model_len": engine.context, "tokens": found, "token_strs": strings}
    connection.answer(200, msgspec.json.encode(answer))


def detokenize(engine: Engine, connection: Connection) -> None:
    """The text of tokens.

    Raises:
        Refused: it cannot be answered.
    """
    request = connection.request
    asked = read(request.body, request.content_type, _detokenize)
    admit(engine, engine.served.names, asked.model)
    connection.answer(200, msgspec.json.encode({"prompt": tokens.text_of(asked.tokens)}))


def _ink(engine: Engine, asked: Tokenize) -> bytes:
    if asked.prompt is None and asked.messages is None:
        raise missing("prompt", "messages")
    if asked.continue_final_message and asked.add_generation_prompt:
        raise Refused(400, "Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
    admit(engine, engine.served.names, asked.model)
    if asked.prompt is not None:
        return tokens.ink(asked.prompt)
    eye = Eye(engine.served.generator(asked.model), engine.settings.image_tokens)
    priming = asked.add_generation_prompt is not False and not asked.continue_final_message
    return tokens.chat_ink(spoken(asked.messages or [], eye), tools_json(asked.tools), priming=priming)
