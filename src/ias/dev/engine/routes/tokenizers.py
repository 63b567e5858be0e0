"""`POST /tokenize` and `/detokenize`."""

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.engine import Engine
from ias.dev.engine.refusals import bad_body
from ias.dev.engine.requests import Detokenize, Tokenize, decoder, read, tools_json
from ias.dev.engine.routes.admission import admit
from ias.dev.engine.routes.prompts import spoken
from ias.dev.engine.server import Connection

_tokenize = decoder(Tokenize)
_detokenize = decoder(Detokenize)


def tokenize(engine: Engine, connection: Connection) -> None:
    """The tokens of a prompt or of a chat.

    Raises:
        Refused: it cannot be answered.
    """
    request = connection.request
    asked = read(request.body, request.content_type, _tokenize)
    admit((*engine.models, *engine.embedders), (), asked.model)
    if asked.messages is not None:
        priming = asked.add_generation_prompt
        inked = tokens.chat_ink(spoken(asked.messages), tools_json(asked.tools), priming=priming)
    elif asked.prompt is not None:
        inked = tokens.ink(asked.prompt)
    else:
        raise bad_body("body.prompt", "Field required", "missing")
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
    admit((*engine.models, *engine.embedders), (), asked.model)
    connection.answer(200, msgspec.json.encode({"prompt": tokens.text_of(asked.tokens)}))
