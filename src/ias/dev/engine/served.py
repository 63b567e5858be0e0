"""Which models the engine has, and what each of them can do. A real vLLM has one; this one plays several."""

import msgspec

Names = tuple[str, ...]


class Generator(msgspec.Struct, frozen=True):
    """A model that writes.

    Attributes:
        name: as answers name it, whichever of its names was asked for.
        reasons: whether it reasons first, and its reasoning is told apart.
        sees: whether it takes images.
    """

    name: str
    reasons: bool = False
    sees: bool = False


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The names of each model by what it does; the first one stands in its answers, as in vLLM."""

    generative: Names = ("mock-gpt",)
    reasoning: Names = ("mock-reasoner",)
    seeing: Names = ("mock-vision",)
    embedding: Names = ("mock-embed",)
    reranking: Names = ("mock-rerank",)
    transcribing: Names = ("mock-whisper",)

    @property
    def generators(self) -> Names:
        """All names of models that write."""
        return (*self.generative, *self.reasoning, *self.seeing)

    @property
    def names(self) -> Names:
        """All names."""
        return (*self.generators, *self.embedding, *self.reranking, *self.transcribing)

    def generator(self, name: str | None) -> Generator:
        """The model that writes under a name that is among `generators`; the first one without a name."""
        if name in self.reasoning:
            return Generator(self.reasoning[0], reasons=True)
        if name in self.seeing:
            return Generator(self.seeing[0], sees=True)
        return Generator(self.generative[0])
