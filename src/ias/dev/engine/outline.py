"""All that is decided about a completion before its first byte is written."""

import msgspec

from ias.dev.engine.answers import Answer
from ias.dev.engine.directives import Behaviour


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A completion to come.

    Attributes:
        chat: whether it is a chat.
        model: the name in the answer.
        answers: one a choice.
        prompts: tokens of each choice's prompt.
        prompt_tokens: tokens of all prompts, each counted once.
        cached_tokens: of those, found in the prefix cache.
        created_tokens: of those, newly put into it.
        image_tokens: of those, from images.
        include: whether the stream ends with usage.
        continuous: whether each of its chunks has usage.
        top_logprobs: how many log probabilities each token has besides its own, if any are wanted.
        echo: the ink of each choice's prompt, if it is to be repeated.
        reasons: whether usage tells the tokens of reasoning, as that of a model that reasons does.
        room: tokens that the answer may have.
        told: how to behave.
    """

    chat: bool
    model: str
    answers: tuple[Answer, ...]
    prompts: tuple[int, ...]
    prompt_tokens: int
    cached_tokens: int
    created_tokens: int
    image_tokens: int = 0
    include: bool
    continuous: bool
    top_logprobs: int | None
    echo: tuple[bytes, ...]
    reasons: bool = False
    room: int = 0
    told: Behaviour

    @property
    def plain(self) -> bool:
        """Whether the stream is one of the usual kind, worth being remembered."""
        only = len(self.answers) == 1 and not self.answers[0].parts
        return only and self.top_logprobs is None and not self.echo and self.told.honest

    @property
    def steps(self) -> int:
        """Tokens of the longest choice."""
        return max(len(answer.pieces) for answer in self.answers)

    def tokens(self, steps: int) -> int:
        """Tokens of all choices after so many steps, in each of which every choice gets one."""
        if len(self.answers) == 1:
            return min(len(self.answers[0].pieces), steps)
        return sum(min(len(answer.pieces), steps) for answer in self.answers)

    def told_tokens(self, steps: int) -> int:
        """Of those, the ones that the client was told of."""
        if len(self.answers) == 1 and not self.answers[0].parts:
            return min(len(self.answers[0].pieces), steps)
        return sum(answer.told(min(len(answer.pieces), steps)) for answer in self.answers)

    def running(self, choice: int, at: int) -> tuple[int, int]:
        """Prompt and completion tokens that are reported when a choice has `at` tokens."""
        told = self.told
        if told.zero_usage:
            return 0, 0
        if told.usage_decreases:
            top = -(-len(self.answers[choice].pieces) // 2)
            at = at if at <= top else max(1, 2 * top - at)
        return self.prompts[choice], at

    def reasoned(self, choice: int, at: int) -> int | None:
        """Tokens of reasoning that are reported when a choice has `at` tokens, if any are."""
        return self.answers[choice].reasoned(at) if self.reasons else None

    def total(self) -> tuple[int, int]:
        """Prompt and completion tokens that are reported at the end."""
        shown = sum(self.running(choice, len(answer.pieces))[1] for choice, answer in enumerate(self.answers))
        return 0 if self.told.zero_usage else self.prompt_tokens, shown

    def total_reasoned(self) -> int | None:
        """Tokens of reasoning that are reported at the end, if any are."""
        return sum(answer.reasoned(len(answer.pieces)) for answer in self.answers) if self.reasons else None
