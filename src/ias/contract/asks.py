"""What a request wants to hold, as admission is asked for it."""

from typing import Final

NO_OUTPUT: Final = -1
NO_TOKENS: Final = -2
NOT_ASKED: Final = 0
NO_GUESS: Final = -1
COUNTED: Final = -2
"""As a guess: an engine has counted the prompt, for which the request was taken from its rate already."""


class Ask:
    """What a request wants to hold: `prompt` tokens at most, `n` times `output` (a limit or one of NO_…, NOT_ASKED).

    `images` are held beside the prompt, each as the tokens that the model's route says, and so is what its template
    adds to each of the `prompts`. `guess` is what the prompt is held as where the organisation's policy says so; with
    it, an upper bound that does not fit into the budget is answered with `Near`.
    """

    # No Struct: a compiled gateway reads the attributes of its own classes at a tenth of the cost.
    __slots__ = ("endpoint", "guess", "images", "model", "n", "output", "prompt", "prompts", "streamed")

    def __init__(  # noqa: PLR0913, PLR0917 - one for each thing that is held
        self,
        model: str,
        prompt: int,
        n: int,
        output: int,
        endpoint: str,
        streamed: bool,  # noqa: FBT001 - a field among others
        images: int = 0,
        prompts: int = 1,
        guess: int = NO_GUESS,
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.n = n
        self.output = output
        self.endpoint = endpoint
        self.streamed = streamed
        self.images = images
        self.prompts = prompts
        self.guess = guess

    def counted(self, prompt: int) -> "Ask":
        """The same, with the prompt as it was counted."""
        held = (self.model, prompt, self.n, self.output, self.endpoint, self.streamed, self.images, self.prompts)
        return Ask(*held, COUNTED)
