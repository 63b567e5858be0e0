"""What a request wants to hold, as admission is asked for it."""

import msgspec

NO_OUTPUT = -1
NO_TOKENS = -2
NOT_ASKED = 0
NO_GUESS = -1


class Ask(msgspec.Struct, gc=False):
    """What a request wants to hold: `prompt` tokens at most, `n` times `output` (a limit or one of NO_…, NOT_ASKED).

    `images` are held beside the prompt, each as the tokens that the model's route says, and so is what its template
    adds to each of the `prompts`. `guess` is what the prompt is held as where the organisation's policy says so; with
    it, an upper bound that does not fit into the budget is answered with `Near`.
    """

    model: str
    prompt: int
    n: int
    output: int
    endpoint: str
    streamed: bool
    images: int = 0
    prompts: int = 1
    guess: int = NO_GUESS
