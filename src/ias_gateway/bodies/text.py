"""`POST /v1/completions`."""

import msgspec

from ias.contract.admission import NO_GUESS, NOT_ASKED, Ask
from ias_gateway.bodies import metered, prompts
from ias_gateway.bodies.metered import MAX_N
from ias_gateway.bodies.prompts import Prompts
from ias_gateway.bodies.sampling import Rare
from ias_gateway.bodies.strict import JSON, BadBody, Whole, check_depth, decode, encode, salted, within

MOST_ANSWERS = 65_536
"""Prompts times answers to each. Redis counts in doubles: what thousands hold together stays exact in any context."""


class Text(Rare, kw_only=True):
    """What a caller may send."""

    prompt: Prompts
    best_of: Whole | None = None
    echo: bool | None = None
    logprobs: Whole | None = None
    suffix: str | None = None
    response_format: dict[str, JSON] | None = None

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold: a strict upper bound of its prompts, and its output limit.

        Raises:
            BadBody: there is no prompt, or a mixture.
        """
        prompt, count = prompts.bound(self.prompt, "prompt")
        n = count * max(self.n or 1, self.best_of or 1)
        if n > MOST_ANSWERS:
            raise BadBody(f"prompt: {n} answers are asked for at once; {MOST_ANSWERS} are the most.", "prompt")
        guess = NO_GUESS if prompts.is_text(self.prompt) else prompt
        output = self.max_tokens or NOT_ASKED
        return Ask(self.model, prompt, n, output, endpoint, bool(self.stream), prompts=count, guess=guess)

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:
        """The body for the engine: its name of the model, the output limit granted, running usage on streams."""
        self.model = name
        self.max_tokens = output
        self.user = None
        metered.meter(self)
        return salted(encode(self), salt)

    def wants_usage(self) -> tuple[bool, bool]:
        """Whether the client of a stream asked for usage at its end, and for running usage."""
        return metered.wants_usage(self)

    def beginning(self) -> bytes:
        """How the prompt begins: requests that share it share a prefix cache."""
        return prompts.beginning(self.prompt)


_decoder = msgspec.json.Decoder(Text)


def read(raw: bytes) -> Text:
    """The body of a request.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing, of the wrong type or out of range.
    """
    body = decode(_decoder, raw)
    metered.check(body)
    within("best_of", body.best_of, MAX_N)
    if body.response_format or body.structured_outputs:
        check_depth(body.response_format, body.structured_outputs)
    return body
