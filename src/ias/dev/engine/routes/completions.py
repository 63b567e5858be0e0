"""`POST /v1/chat/completions` and `/v1/completions`."""

from ias.dev.engine import answers, bodies, chunks, shapes, tokens
from ias.dev.engine.engine import Engine
from ias.dev.engine.generation import Generation
from ias.dev.engine.manner import Manner
from ias.dev.engine.oracle import Written
from ias.dev.engine.parts import Eye
from ias.dev.engine.requests import Chat, Text, decoder, read
from ias.dev.engine.routes.admission import told_by, writer
from ias.dev.engine.routes.orders import Order, outline
from ias.dev.engine.routes.prompts import images, inks, last_of_user, spoken
from ias.dev.engine.server import Connection

_DEFAULT_TEXT_LIMIT = 16
_BROKE = chunks.frame(shapes.BROKE) + chunks.frame(shapes.DONE)
_CHAT = Manner(identity="chatcmpl-".__add__, body=bodies.body, script=chunks.Script, whole=chunks.whole, broke=_BROKE)
_TEXT = Manner(identity="cmpl-".__add__, body=bodies.body, script=chunks.Script, whole=chunks.whole, broke=_BROKE)
_chat = decoder(Chat)
_text = decoder(Text)


def complete_chat(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer a chat.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _chat)
    asked.checked()
    order = chat_order(engine, asked)
    Generation(engine, connection, outline(engine, order, entry), entry, _CHAT).begin()


def chat_order(engine: Engine, asked: Chat) -> Order:
    """What a chat comes to.

    Raises:
        Refused: it cannot be answered.
    """
    model = writer(engine, asked.model)
    limit = answers.limit_of(asked, engine.context)
    eye = Eye(model, engine.settings.image_tokens)
    said = spoken(asked.messages, eye)
    return Order(
        asked=asked,
        model=model,
        prompts=[tokens.chat_ink(said, asked.tools_json)],
        limit=limit,
        told=told_by(engine, last_of_user(said)),
        image_tokens=images(asked.messages, eye) * eye.image_tokens if model.sees else 0,
    )


def complete_text(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer a text completion.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _text)
    asked.checked()
    model = writer(engine, asked.model)
    limit = answers.limit_of(asked, engine.context) or _DEFAULT_TEXT_LIMIT
    prompts = inks(asked.prompt or "")
    told = told_by(engine, tokens.text_of(tokens.ids(prompts[-1])))
    order = Order(asked=asked, model=model, prompts=prompts, limit=limit, told=told)
    Generation(engine, connection, outline(engine, order, entry), entry, _TEXT).begin()
