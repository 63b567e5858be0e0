"""`POST /v1/rerank` and `/v1/score`, each also under its other names: how well documents fit a query.

A model that embeds ranks too. It reads each text once, where one that was made for it reads the query with every
document.
"""

from time import time
from zlib import crc32

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.pooled import Pooled
from ias.dev.engine.refusals import Refused, bad_body, missing
from ias.dev.engine.requests import decoder, read
from ias.dev.engine.routes.admission import admit_pooled, fits, told_by
from ias.dev.engine.server import Connection
from ias.dev.engine.shapes import pooled_usage

PER_PAIR = 3
"""Tokens of a pair besides its texts: one before the query, one after it, one at the end, as BERT has them."""

_FINE = 1 << 20
_PAIRS = (("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "text_2"))


class Parts(msgspec.Struct):
    """An input that is not plain text."""

    content: list[dict[str, object]]


Input = str | Parts
Inputs = Input | list[Input]


class Rerank(msgspec.Struct, kw_only=True):
    """The body of a reranking."""

    model: str | None = None
    query: Input
    documents: Inputs
    top_n: int = 0


class Score(msgspec.Struct, kw_only=True):
    """The body of a scoring: one of four pairs of fields."""

    model: str | None = None
    queries: Inputs | None = None
    documents: Inputs | None = None
    items: Inputs | None = None
    data_1: Inputs | None = None
    data_2: Inputs | None = None
    text_1: Inputs | None = None
    text_2: Inputs | None = None

    def pair(self) -> tuple[list[str], list[str]]:
        """Both sides.

        Raises:
            Refused: no pair is whole.
        """
        given: dict[str, Inputs | None] = msgspec.structs.asdict(self)
        for one, other in _PAIRS:
            first, second = given[one], given[other]
            if first is not None and second is not None:
                return _texts(first), _texts(second)
        raise missing(*(name for pair in _PAIRS for name in pair if given[name] is None))


class _Ranked(msgspec.Struct):
    """Pairs, admitted.

    Attributes:
        model: the name in the answer.
        pairs: each with its query.
        used: tokens of all of them.
    """

    model: str
    pairs: list[tuple[str, str]]
    used: int
    told: Behaviour

    @property
    def shown(self) -> int:
        """Tokens that are reported."""
        return 0 if self.told.zero_usage else self.used


_rerank = decoder(Rerank)
_score = decoder(Score)


def rerank(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer with the documents that fit best, the best one first.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _rerank)
    if asked.top_n < 0:
        raise bad_body("body.top_n", "Input should be greater than or equal to 0", "greater_than_equal")
    ranked = _admitted(engine, asked.model, _texts(asked.query), _texts(asked.documents))
    answer: dict[str, object] = {"id": f"score-{connection.request.request_id}", "model": ranked.model}
    if not ranked.told.no_usage:
        answer["usage"] = {"prompt_tokens": ranked.shown, "total_tokens": ranked.shown}
    found = [
        {"index": index, "document": {"text": pair[1], "multi_modal": None}, "relevance_score": relevance(*pair)}
        for index, pair in sorted(enumerate(ranked.pairs), key=lambda one: -relevance(*one[1]))
    ]
    _answer(engine, connection, entry, ranked, {**answer, "results": found[: asked.top_n or None]})


def score(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer with a number for each pair.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _score)
    ranked = _admitted(engine, asked.model, *asked.pair())
    data = [{"index": at, "object": "score", "score": relevance(*pair)} for at, pair in enumerate(ranked.pairs)]
    answer: dict[str, object] = {"id": f"score-{connection.request.request_id}", "object": "list"}
    answer |= {"created": int(time()), "model": ranked.model, "data": data}
    if not ranked.told.no_usage:
        answer["usage"] = pooled_usage(ranked.shown)
    _answer(engine, connection, entry, ranked, answer)


def relevance(query: str, document: str) -> float:
    """Between 0 and 1: the share of the query's words that the document has, and a little that tells ties apart."""
    wanted = set(query.lower().split())
    share = len(wanted & set(document.lower().split())) / max(1, len(wanted))
    return (share * 98 + crc32(f"{query}\0{document}".encode()) % _FINE / _FINE) / 100 + 0.005


def _answer(engine: Engine, connection: Connection, entry: Written, ranked: _Ranked, answer: dict[str, object]) -> None:
    entry.model = ranked.model
    Pooled(engine, connection, entry, ranked.told, ranked.used).begin(msgspec.json.encode(answer))


def _texts(given: Inputs) -> list[str]:
    found = []
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, str):
            raise Refused(400, "MultiModalParam is not supported for MockForSequenceClassification")
        found.append(one)
    return found


def _admitted(engine: Engine, model: str | None, queries: list[str], documents: list[str]) -> _Ranked:
    served = engine.served
    admit_pooled(engine, (*served.reranking, *served.embedding), model)
    if len(queries) > 1 and len(queries) != len(documents):
        raise Refused(400, "Input lengths must be either 1:1, 1:N or N:N")
    if not queries:
        raise Refused(400, "At least one text element must be given")
    if not documents:
        raise Refused(400, "At least one text_pair element must be given")
    told = told_by(engine, queries[-1])
    pairs = list(zip(queries * (len(documents) if len(queries) == 1 else 1), documents, strict=True))
    if model in served.embedding:
        sizes, name = [tokens.count(text) for text in (*queries, *documents)], served.embedding[0]
    else:
        sizes, name = [PER_PAIR + tokens.count(one) + tokens.count(two) for one, two in pairs], served.reranking[0]
    for size in sizes:
        fits(engine.context, size)
    return _Ranked(name, pairs, sum(sizes), told)
