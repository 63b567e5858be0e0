"""`POST /v1/embeddings`."""

from typing import Literal

import msgspec

from ias.contract.admission import NO_GUESS, NO_OUTPUT, Ask
from ias_gateway.bodies import prompts
from ias_gateway.bodies.prompts import Prompts
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import BadBody, Whole, decode, encode, salted

MOST_INPUTS = 2048
"""In one request, as OpenAI has it."""


class Embeddings(Strict, kw_only=True):
    """What a caller may send."""

    model: str
    input: Prompts
    dimensions: Whole | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    truncate_prompt_tokens: Whole | None = None

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold: a strict upper bound of its input.

        Raises:
            BadBody: there is no input, too many, or a mixture.
        """
        # A list of numbers is one input.
        many = isinstance(self.input, list) and len(self.input) > MOST_INPUTS
        if many and not isinstance(self.input[0], int):
            raise BadBody(f"input: {len(self.input)} inputs are given at once; {MOST_INPUTS} are the most.", "input")
        bound, count = prompts.bound(self.input, "input")
        guess = NO_GUESS if prompts.is_text(self.input) else bound
        return Ask(self.model, bound, 1, NO_OUTPUT, endpoint, streamed=False, prompts=count, guess=guess)

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:  # noqa: ARG002 - embeddings are no output
        """The body for the engine: its name of the model."""
        self.model = name
        self.user = None
        return salted(encode(self), salt)

    def wants_usage(self) -> tuple[bool, bool]:
        """Embeddings are not streamed."""
        return False, False

    def beginning(self) -> bytes:
        """How the input begins."""
        return prompts.beginning(self.input)


_decoder = msgspec.json.Decoder(Embeddings)


def read(raw: bytes) -> Embeddings:
    """The body of a request.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing or of the wrong type.
    """
    return decode(_decoder, raw)
