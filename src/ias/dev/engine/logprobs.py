"""Log probabilities: made up, the same for the same token, in vLLM's two shapes."""

from typing import cast

import msgspec

CHOSEN = -0.25
_OTHERS = (" the", " one", " was", " dog", " all", " sun", " you", " may", " red", " ink", " sky", " law")


def chat_logprobs(pieces: list[bytes], top: int) -> bytes:
    """Those of a chat: an entry a token, each with the `top` likeliest."""
    return msgspec.json.encode({"content": [_entry(_said(piece), top) for piece in pieces]})


def response_logprobs(pieces: list[bytes], top: int) -> list[dict[str, object]]:
    """Those of a response's message: as a chat has them, in another order."""
    return [_response_entry(_said(piece), top) for piece in pieces]


def without_bytes(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    """Those of a response, as its deltas tell them."""
    return [
        {
            "token": entry["token"],
            "logprob": entry["logprob"],
            "top_logprobs": [
                {"token": one["token"], "logprob": one["logprob"]}
                for one in cast("list[dict[str, object]]", entry["top_logprobs"])
            ],
        }
        for entry in entries
    ]


def text_logprobs(pieces: list[bytes], offset: int, top: int) -> bytes:
    """Those of a text completion, from a place in its text on."""
    said = [_said(piece) for piece in pieces]
    offsets: list[int] = []
    for text in said:
        offsets.append(offset)
        offset += len(text)
    ranked = [dict(_likely(text, top + 1)) for text in said]
    token_logprobs = [CHOSEN] * len(said)
    found = {"text_offset": offsets, "token_logprobs": token_logprobs, "tokens": said, "top_logprobs": ranked}
    return msgspec.json.encode(found)


def _entry(text: str, top: int) -> dict[str, object]:
    likely = [{"token": word, "logprob": value, "bytes": list(word.encode())} for word, value in _likely(text, top)]
    return {"token": text, "logprob": CHOSEN, "bytes": list(text.encode()), "top_logprobs": likely}


def _response_entry(text: str, top: int) -> dict[str, object]:
    likely = [{"token": word, "bytes": list(word.encode()), "logprob": value} for word, value in _likely(text, top)]
    return {"token": text, "bytes": list(text.encode()), "logprob": CHOSEN, "top_logprobs": likely}


def _likely(text: str, number: int) -> list[tuple[str, float]]:
    others = [word for word in _OTHERS if word != text]
    return [(word, CHOSEN - place) for place, word in enumerate((text, *others))][:number]


def _said(piece: bytes) -> str:
    return msgspec.json.decode(b'"%b"' % piece, type=str)
