"""The running usage of several answers, added up: vLLM reports on a chunk only what its own choice and prompt have."""

from ias_gateway.scanner import Tokens
from ias_gateway.usage import Usage


class Choices:
    """What each choice, and each prompt, has reported so far.

    Args:
        number: how many choices there are; those of one prompt follow each other.
        prompts: how many prompts they answer, each as many times.
    """

    __slots__ = ("_completions", "_prompts", "_times")

    def __init__(self, number: int, prompts: int) -> None:
        self._times = max(1, number // prompts)
        self._completions: dict[int, int] = {}
        self._prompts: dict[int, int] = {}

    def note(self, choice: int, prompt: int, completion: int) -> None:
        """One report."""
        self._completions[choice] = max(self._completions.get(choice, 0), completion)
        place = choice // self._times
        self._prompts[place] = max(self._prompts.get(place, 0), prompt)

    @property
    def total(self) -> tuple[int, int]:
        """Prompt and completion tokens of all of them."""
        return sum(self._prompts.values()), sum(self._completions.values())


def tokens_of(usage: Usage) -> Tokens:
    """Prompt, completion, cached of one report: the last no more than the prompt, whatever is reported."""
    prompt, details = usage.prompt_tokens, usage.prompt_tokens_details
    completion = usage.completion_tokens or 0
    if details is None:
        return prompt, completion, 0
    cached = details.cached_tokens or 0
    return prompt, completion, cached if cached < prompt else prompt  # noqa: FURB136 - compiled code looks `min` up
