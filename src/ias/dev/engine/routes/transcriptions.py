"""`POST /v1/audio/transcriptions`."""

import math

from ias.dev.engine import chunks, shapes
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.generation import Generation
from ias.dev.engine.manner import Manner
from ias.dev.engine.oracle import Written
from ias.dev.engine.outline import Outline
from ias.dev.engine.routes.admission import admit, told_by
from ias.dev.engine.server import Connection
from ias.dev.engine.transcriptions.asked import read
from ias.dev.engine.transcriptions.audio import clips, seconds
from ias.dev.engine.transcriptions.bodies import body
from ias.dev.engine.transcriptions.heard import Heard, hear
from ias.dev.engine.transcriptions.script import Script

_BROKE = chunks.frame(shapes.BROKE) + chunks.frame(shapes.DONE)


def transcribe(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer.

    Raises:
        Refused: it cannot be answered.
    """
    asked, recording = read(connection.request.body, connection.request.content_type)
    names = engine.served.transcribing
    admit(engine, names, asked.model)
    model = asked.model or names[0]
    asked.checked(model)
    told = told_by(engine, asked.prompt)
    heard = hear(asked, told, recording, clips(seconds(recording)))
    entry.model, entry.stream, entry.seconds = names[0], asked.stream, math.ceil(heard.length)
    manner = Manner(
        identity="transcribe-".__add__,
        body=lambda *_: body(asked, heard, usage=not told.no_usage),
        script=lambda _, identity, created: Script(asked, heard, model, identity, created),
        broke=_BROKE,
    )
    Generation(engine, connection, _outline(names[0], heard, told), entry, manner).begin()


def _outline(model: str, heard: Heard, told: Behaviour) -> Outline:
    return Outline(
        chat=False,
        model=model,
        answers=(heard.answer,),
        prompts=(heard.prompt_tokens,) * len(heard.clips),
        prompt_tokens=heard.used,
        cached_tokens=0,
        created_tokens=0,
        include=False,
        continuous=False,
        top_logprobs=None,
        echo=(),
        told=told,
    )
