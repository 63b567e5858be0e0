"""`POST /v1/rerank` and `/v1/score`: how well texts fit together."""

import msgspec

from ias.contract.admission import NO_OUTPUT, Ask
from ias_gateway.bodies import parts, prompts
from ias_gateway.bodies.messages import OVERHEAD
from ias_gateway.bodies.parts import Part
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON, BadBody, Whole, check_depth, check_template, decode, encode, printed, salted

PAIRS = (("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "text_2"))
"""The names that vLLM knows for what is scored against what."""


class Content(Strict):
    """Texts and images that are one thing to be scored."""

    content: list[Part]


Scored = str | Content


class Pooling(Strict, kw_only=True):
    """What both requests share."""

    model: str
    user: str | None = None
    truncate_prompt_tokens: Whole | None = None
    truncation_side: str | None = None
    use_activation: bool | None = None
    max_tokens_per_query: Whole | None = None
    max_tokens_per_doc: Whole | None = None
    instruction: str | None = None
    chat_template_kwargs: dict[str, JSON] | None = None

    def hold(self, endpoint: str, queries: list[Scored], documents: list[Scored]) -> Ask:
        """A strict upper bound of the tokens of all pairs: a single query is scored against every document."""
        times = len(documents) if len(queries) == 1 else 1
        one = OVERHEAD + prompts.size(self.instruction or "")
        if self.chat_template_kwargs:
            one += printed(self.chat_template_kwargs)
        bound = one * len(documents) + sum(map(_bound, queries)) * times + sum(map(_bound, documents))
        count = sum(map(_images, queries)) * times + sum(map(_images, documents))
        return Ask(self.model, bound, 1, NO_OUTPUT, endpoint, streamed=False, images=count, prompts=len(documents))

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:  # noqa: ARG002 - scores are no output
        """The body for the engine: its name of the model."""
        self.model = name
        self.user = None
        return salted(encode(self), salt)

    def wants_usage(self) -> tuple[bool, bool]:
        """Scores are not streamed."""
        return False, False


class Rerank(Pooling, kw_only=True):
    """`POST /v1/rerank`; the last line is Jina's and Cohere's, of no use to vLLM."""

    query: Scored
    documents: Scored | list[Scored]
    top_n: Whole | None = None
    return_documents: bool | None = None

    def pairs(self) -> tuple[list[Scored], list[Scored]]:
        """The query, and the documents."""
        return [self.query], _listed(self.documents, "documents")

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold."""
        return self.hold(endpoint, *self.pairs())

    def beginning(self) -> bytes:
        """How the query begins."""
        return prompts.beginning([self.query])

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:
        """The body for the engine: its name of the model."""
        self.return_documents = None
        return super().rebuild(name, output, salt)


class Score(Pooling, kw_only=True):
    """`POST /v1/score`, with one of vLLM's four pairs of names."""

    queries: Scored | list[Scored] | None = None
    documents: Scored | list[Scored] | None = None
    items: Scored | list[Scored] | None = None
    data_1: Scored | list[Scored] | None = None
    data_2: Scored | list[Scored] | None = None
    text_1: Scored | list[Scored] | None = None
    text_2: Scored | list[Scored] | None = None

    def pairs(self) -> tuple[list[Scored], list[Scored]]:
        """Those of the pair of names that is there."""
        given = {name for pair in PAIRS for name in pair if getattr(self, name) is not None}
        for first, second in PAIRS:
            if given == {first, second}:
                queries, documents = (_listed(getattr(self, name), name) for name in (first, second))
                if len(queries) not in {1, len(documents)}:
                    raise BadBody(f"{first}: give one, or as many as there are {second}.", first)
                return queries, documents
        raise BadBody("queries: give `queries` and `documents`, and no other texts.", "queries")

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold."""
        return self.hold(endpoint, *self.pairs())

    def beginning(self) -> bytes:
        """How the queries begin."""
        return prompts.beginning(self.pairs()[0])


_rerank_decoder = msgspec.json.Decoder(Rerank)
_score_decoder = msgspec.json.Decoder(Score)


def read_rerank(raw: bytes) -> Rerank:
    """The body of a request to rank.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing or of the wrong type.
    """
    body = decode(_rerank_decoder, raw)
    _check(body)
    return body


def read_score(raw: bytes) -> Score:
    """The body of a request to score.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing or of the wrong type.
    """
    body = decode(_score_decoder, raw)
    _check(body)
    return body


def _check(body: Rerank | Score) -> None:
    check_template(body.chat_template_kwargs)
    check_depth(body.chat_template_kwargs)
    for scored in (one for side in body.pairs() for one in side):
        if isinstance(scored, Content):
            parts.check(scored.content, "content")


def _listed(given: Scored | list[Scored], name: str) -> list[Scored]:
    if isinstance(given, list):
        if not given:
            raise BadBody(f"{name}: give at least one.", name)
        return given
    return [given]


def _bound(scored: Scored) -> int:
    return prompts.size(scored) if isinstance(scored, str) else parts.bound(scored.content)


def _images(scored: Scored) -> int:
    return 0 if isinstance(scored, str) else parts.images(scored.content)
