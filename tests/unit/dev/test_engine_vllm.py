"""What the engine sends is what a real vLLM 0.32 sent: `vllm/` holds the answers of one to a model that was taught to
reason, to call functions and to make up transcriptions; ids, times and the fingerprint differ.
"""

import re
from pathlib import Path

import msgspec

from ias.dev.engine import bodies, chunks
from ias.dev.engine.answers import Answer, Kind, Part
from ias.dev.engine.chunks import Script as ChatScript
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.manner import Script
from ias.dev.engine.outline import Outline
from ias.dev.engine.requests import decoder
from ias.dev.engine.responses.asked import Asked
from ias.dev.engine.responses.body import body
from ias.dev.engine.responses.script import Script as ResponseScript
from ias.dev.engine.transcriptions import bodies as transcripts
from ias.dev.engine.transcriptions.asked import Asked as Heard_Asked
from ias.dev.engine.transcriptions.heard import Heard
from ias.dev.engine.transcriptions.script import Script as TranscriptScript

SEEN = Path(__file__).parent / "vllm"
IDS = re.compile(r"chatcmpl-tool-[0-9a-f]+|(?:chatcmpl-|transcribe-|resp_|msg_|rs_|fc_)[0-9a-f]+")
TIMES = re.compile(r'"(created|created_at)":\d+')
FINGERPRINT = re.compile(r"vllm-0\.32\.0-\w+")
TOOLS = (
    b'[{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer"}},'
    b'"required":["a"]}},{"type":"function","name":"g"}]'
)


def alike(text: str) -> str:
    """A text with its ids, times and fingerprints as numbers in the order in which they come."""
    met: dict[str, str] = {}
    text = IDS.sub(lambda found: met.setdefault(found[0], f"<{len(met)}>"), text)
    return FINGERPRINT.sub("<fingerprint>", TIMES.sub(r'"\1":0', text)).strip()


def seen(name: str) -> str:
    return alike((SEEN / name).read_text())


def told(script: Script, steps: int) -> str:
    """All events of a stream, step by step, out of their frames."""
    framed = script.greeting() + script.opening()
    framed += b"".join(script.steps(at, at + 1) for at in range(steps)) + script.closing()
    found = b""
    while framed:
        size, _, framed = framed.partition(b"\r\n")
        found, framed = found + framed[: int(size, 16)], framed[int(size, 16) + 2 :]
    return alike(found.decode())


class Spelling:
    """An answer, token by token; what is `None` is a token that nobody sees."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.parts: list[Part] = []

    def marks(self, number: int) -> "Spelling":
        self.parts.append(Part(Kind.MARK, len(self.pieces), len(self.pieces) + number))
        self.pieces += [b""] * number
        return self

    def say(self, *pieces: bytes, kind: Kind | None = None) -> "Spelling":
        if kind is not None:
            self.parts.append(Part(kind, len(self.pieces), len(self.pieces) + len(pieces)))
        self.pieces += pieces
        return self

    def call(self, name: str, index: int, *pieces: bytes | None) -> "Spelling":
        first = len(self.pieces)
        self.pieces.append(b"")
        self.marks(15)
        for piece in pieces:
            self.marks(1) if piece is None else self.say(piece)
        self.parts.append(Part(Kind.CALL, first, len(self.pieces), name, index))
        return self

    def end(self, finish: str) -> Answer:
        return Answer(pieces=(*self.pieces, b""), finish=finish, parts=tuple(self.parts))


REASONED = (
    Spelling().marks(1).say(b"a", b"b", b" ", b"c", kind=Kind.REASONING).marks(1).say(b"y", b"e", b"s").end("stop")
)
HUSHED = msgspec.structs.replace(REASONED, hushed=True)
CALLED = (
    Spelling()
    .marks(13)
    .call("f", 0, b"{", rb"\"", b"a", rb"\"", b":", None, b" 7", b"}")
    .marks(17)
    .call("g", 1, b"{", rb"\"", b"b", rb"\"", b":", None, rb" \"", b"x", rb"\"", b"}")
    .marks(3)
    .end("tool_calls")
)


def outline(answer: Answer, *, usage: bool = True) -> Outline:
    return Outline(
        chat=True,
        model="mock-gpt",
        answers=(answer,),
        prompts=(6,),
        prompt_tokens=6,
        cached_tokens=0,
        created_tokens=0,
        include=usage,
        continuous=usage,
        top_logprobs=None,
        echo=(),
        reasons=True,
        room=120,
        told=Behaviour(),
    )


def asked(tools: bytes = b"[]") -> Asked:
    return decoder(Asked).decode(b'{"input":"R","temperature":0,"max_output_tokens":120,"tools":%b}' % tools)


def test_a_chat_that_reasons_is_streamed_as_vllm_streams_it() -> None:
    assert told(ChatScript(outline(REASONED), "chatcmpl-1", 5), 10) == seen("chat_reasoning.sse")


def test_reasoning_that_is_not_wanted_is_left_out_as_vllm_leaves_it_out() -> None:
    assert told(ChatScript(outline(HUSHED), "chatcmpl-1", 5), 10) == seen("chat_hushed.sse")


def test_several_calls_are_streamed_as_vllm_streams_them() -> None:
    assert told(ChatScript(outline(CALLED), "chatcmpl-1", 5), 84) == seen("chat_tools.sse")


def test_a_whole_chat_that_reasons_or_calls_is_vllms() -> None:
    for answer, name in ((REASONED, "chat_reasoning.json"), (CALLED, "chat_tools.json")):
        assert alike(bodies.body(outline(answer), "chatcmpl-1", 5).decode()) == seen(name)


def test_a_response_that_reasons_is_streamed_as_vllm_streams_it() -> None:
    assert told(ResponseScript(asked(), outline(REASONED), "resp_1", 5), 10) == seen("response_reasoning.sse")


def test_a_response_that_calls_is_streamed_as_vllm_streams_it() -> None:
    assert told(ResponseScript(asked(TOOLS), outline(CALLED), "resp_1", 5), 84) == seen("response_tools.sse")


def test_a_whole_response_that_reasons_or_calls_is_vllms() -> None:
    assert alike(body(asked(), outline(REASONED), "resp_1", 5).decode()) == seen("response_reasoning.json")
    assert alike(body(asked(TOOLS), outline(CALLED), "resp_1", 5).decode()) == seen("response_tools.json")


def test_a_transcription_of_two_clips_is_vllms_streamed_and_whole() -> None:
    clip = Answer(pieces=(b"<|27.56|>",) * 3, finish="length")
    heard = Heard(length=31.5, clips=(30.0, 1.5), said=(clip, clip), prompt_tokens=4)
    wanted = Heard_Asked(stream=True, stream_include_usage=True)
    assert told(TranscriptScript(wanted, heard, "mock-whisper", "transcribe-1", 5), 6) == seen("transcription.sse")
    assert transcripts.body(wanted, heard, usage=True).decode() == seen("transcription.json")


def test_running_usage_of_a_transcription_is_vllms() -> None:
    clip = Answer(pieces=(b"<|27.56|>",) * 3, finish="length")
    heard = Heard(length=1.25, clips=(1.25,), said=(clip,), prompt_tokens=4)
    wanted = Heard_Asked(stream=True, stream_include_usage=True, stream_continuous_usage_stats=True)
    script = TranscriptScript(wanted, heard, "mock-whisper", "transcribe-1", 5)
    assert told(script, 3) == seen("transcription_usage.sse")


def test_a_stream_of_several_parts_is_the_same_at_once_as_step_by_step() -> None:
    whole = chunks.whole(outline(CALLED), "chatcmpl-1", 5)
    script = ChatScript(outline(CALLED), "chatcmpl-1", 5)
    assert whole == script.opening() + b"".join(script.steps(at, at + 1) for at in range(84)) + script.closing()
