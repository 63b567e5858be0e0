"""One request for tokens, from its first byte to its line in the oracle."""

import asyncio
from collections.abc import Callable
from time import time

import msgspec

from ias.dev.engine import shapes, tokens
from ias.dev.engine.directives import BadDirective, Behaviour, behaviour
from ias.dev.engine.oracle import Written
from ias.dev.engine.requests import CHAT, EMBEDDINGS, TEXT, Asked, Refused, read
from ias.dev.engine.server import Connection
from ias.dev.engine.shapes import Envelope, Usage
from ias.dev.engine.state import Engine
from ias.dev.engine.stream import Plan, Stream

OK = 200
_DIMENSIONS = 8


class Generation:
    """One request for tokens, from its first byte to its line in the oracle."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self._engine = engine
        self._connection = connection
        self._written = Written(
            request_id=connection.request_id, model="", path=connection.path, stream=False, started_at=time()
        )
        self._stream: Stream | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Read the request; refuse it, or answer it after the wait that it was told."""
        engine, connection = self._engine, self._connection
        try:
            asked = read(connection.path, connection.body, engine.models, engine.context)
            told = behaviour(asked.last_text, engine.usual)
        except BadDirective as error:
            self._refuse(Refused(400, str(error)))
            return
        except Refused as error:
            self._refuse(error)
            return
        self._written.model, self._written.stream = asked.model, bool(asked.stream)
        self._written.salt = asked.cache_salt or ""
        if told.status != OK:
            self._refuse(Refused(told.status, "The engine was told to fail.", "InternalServerError"))
            return
        if connection.path == EMBEDDINGS:
            self._embed(asked)
            return
        engine.metrics.running += 1
        connection.ongoing = self
        loop = asyncio.get_running_loop()
        if asked.stream:
            self._later(loop, told.first_ms, lambda: self._start(asked, told))
        elif told.hang_after is None:
            wait = told.first_ms + told.delay_ms * self._length(asked, told)
            self._later(loop, wait, lambda: self._whole(asked, told))

    # -- the client --------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._stream.stop()
            self._written.completion_tokens = self._stream.written
        self._note("aborted" if self._written.outcome == "refused" else self._written.outcome)

    def pause(self) -> None:
        if self._stream is not None:
            self._stream.pause()

    def resume(self) -> None:
        if self._stream is not None:
            self._stream.resume()

    # -- the stream --------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._connection.write(data)

    def die(self) -> None:
        self._written.outcome = "died"
        self._connection.die()

    def ended(self, outcome: str) -> None:
        if self._stream is not None:
            self._written.completion_tokens = self._stream.written
        self._note(outcome)
        self._connection.end_stream()

    def _later(self, loop: asyncio.AbstractEventLoop, ms: float, what: Callable[[], None]) -> None:
        if ms:
            self._timer = loop.call_later(ms / 1000, what)
        else:
            what()

    def _start(self, asked: Asked, told: Behaviour) -> None:
        chat = self._connection.path == CHAT
        envelope = Envelope(self._identity(), int(time()), asked.model, chat=chat)
        plan = Plan(envelope, self._words(asked, told), self._finish(asked, told), self._prefill(asked))
        options = asked.stream_options
        plan.include = bool(options and options.include_usage)
        plan.continuous = plan.include and bool(options and options.continuous_usage_stats)
        plan.behaviour = told
        self._engine.metrics.first_token(time() - self._written.started_at)
        self._connection.begin_stream()
        self._stream = Stream(plan, self, chat=chat)
        self._stream.start()

    def _whole(self, asked: Asked, told: Behaviour) -> None:
        if told.die_after is not None:
            self.die()
            return
        chat = self._connection.path == CHAT
        words, usage = self._words(asked, told), self._prefill(asked)
        usage.completion = self._written.completion_tokens = sum(map(len, words))
        self._engine.metrics.first_token(time() - self._written.started_at)
        report = b"" if told.no_usage else shapes.final_usage(usage if not told.zero_usage else Usage(0, 0), chat=chat)
        start: dict[str, object] = {"id": self._identity(), "created": int(time()), "model": asked.model}
        texts = [("".join(some), self._finish(asked, told)) for some in words]
        body = shapes.chat_body(start, texts, report) if chat else shapes.text_body(start, texts, report)
        self._note("finished")
        self._connection.answer(200, body)

    def _embed(self, asked: Asked) -> None:
        self._prefill(asked)
        size = asked.dimensions or _DIMENSIONS
        vectors = [
            {"index": index, "object": "embedding", "embedding": [len(prompt) / (place + 1) for place in range(size)]}
            for index, prompt in enumerate(asked.prompts)
        ]
        used = self._written.prompt_tokens
        usage = {"prompt_tokens": used, "total_tokens": used, "completion_tokens": 0, "prompt_tokens_details": None}
        start = {"id": self._identity("embd"), "object": "list", "created": int(time()), "model": asked.model}
        self._engine.metrics.running += 1
        self._note("finished")
        self._connection.answer(200, msgspec.json.encode({**start, "data": vectors, "usage": usage}))

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _words(self, asked: Asked, told: Behaviour) -> list[list[str]]:
        length = self._length(asked, told)
        choices = (asked.n or 1) * len(asked.prompts)
        prompts = asked.prompts
        return [tokens.words(prompts[choice % len(prompts)], choice, length) for choice in range(choices)]

    def _length(self, asked: Asked, told: Behaviour) -> int:
        return max(1, min(told.tokens, asked.limit or told.tokens))

    def _finish(self, asked: Asked, told: Behaviour) -> str:
        return "length" if asked.limit is not None and asked.limit < told.tokens else "stop"

    def _prefill(self, asked: Asked) -> Usage:
        usage = Usage(asked.prompt_tokens, 0)
        usage.cached, usage.created = self._engine.cache.reuse("".join(asked.prompts), self._written.salt, usage.prompt)
        self._written.prompt_tokens, self._written.cached_tokens = usage.prompt, usage.cached
        return usage

    def _identity(self, kind: str = "chatcmpl") -> str:
        prefix = "cmpl" if self._connection.path == TEXT else kind
        return prefix + "-" + (self._connection.request_id or f"{id(self):x}")

    def _refuse(self, error: Refused) -> None:
        self._written.status, self._written.ended_at = error.status, time()
        self._engine.oracle.note(self._written)
        self._connection.refuse(error.status, error.message, error.kind, error.param)

    def _note(self, outcome: str) -> None:
        """The request is over: counters and oracle, once."""
        written, metrics = self._written, self._engine.metrics
        if written.ended_at:
            return
        self._connection.ongoing = None
        written.outcome, written.ended_at = outcome, time()
        metrics.running -= 1
        metrics.prompt_tokens[written.model] += written.prompt_tokens
        metrics.generation_tokens[written.model] += written.completion_tokens
        if outcome != "refused":
            metrics.success[written.model, {"finished": "stop", "aborted": "abort"}.get(outcome, "error")] += 1
        self._engine.oracle.note(written)
