"""How many bytes of a prompt are a token: what each model has reported, for organisations that hold estimates.

The ratio of a model is that of its last prompts, all bytes to all tokens, each counting 1 % less than the one after it.
Bytes are those of the prompt's upper bound: text, and what a template may put around it.
"""

from typing import Final

from ias.contract.admission import Ask

FIRST: Final = 2.0
"""Bytes a token, before a model has reported anything: less than any common tokenizer makes of prose in any script."""
LEAST: Final = 1.0
MOST: Final = 8.0
"""What a ratio may be: a byte-level tokenizer makes no more tokens than bytes, and a long prompt of blanks few."""
KEEP: Final = 0.99


class Ratios:
    """The running bytes-per-token ratio of each model; by its public name."""

    def __init__(self) -> None:
        self._ratios: dict[str, float] = {}
        self._seen: dict[str, list[float]] = {}

    def guess(self, ask: Ask) -> int:
        """The tokens of a prompt, as far as its length tells."""
        return int(ask.prompt / self._ratios.get(ask.model, FIRST)) + 1

    def learn(self, ask: Ask, tokens: int) -> None:
        """Note how many tokens a prompt was; one with images, or that was counted, tells nothing of bytes."""
        prompt, guess = ask.prompt, ask.guess
        if tokens <= 0 or ask.images or guess < 0 or guess == prompt:
            return
        seen = self._seen.get(ask.model)
        if seen is None:
            # The start counts as much as the prompt itself, so that one odd prompt does not set the ratio.
            seen = self._seen[ask.model] = [prompt, prompt / FIRST]
        seen[0] = size = seen[0] * KEEP + prompt
        seen[1] = count = seen[1] * KEEP + tokens
        ratio = size / count
        self._ratios[ask.model] = ratio if LEAST < ratio < MOST else min(max(ratio, LEAST), MOST)

    def of(self, model: str) -> float:
        """The ratio in use."""
        return self._ratios.get(model, FIRST)
