"""Transcriptions: the form taken apart and written anew, how long a sound is at most, what its answer reports."""

import contextlib
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartSegment, PushMultipartParser

from ias.contract.admission import NOT_ASKED, Ask
from ias_gateway.bodies import audio, form, transcriptions
from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.bodies.strict import BadBody

ENDPOINT = BY_PATH[b"/v1/audio/transcriptions"]
Part = tuple[str, bytes]


def written(*parts: Part, boundary: bytes = b"b0undary", filename: str | None = "a.mp3") -> bytes:
    """A form as clients send it."""
    out = b""
    for name, body in parts:
        more = (
            b'; filename="%b"\r\nContent-Type: audio/mpeg' % filename.encode() if name == "file" and filename else b""
        )
        out += b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
            *(boundary, name.encode(), more, body),
        )
    return out + b"--%b--\r\n" % boundary


def read_back(raw: bytes) -> dict[str, list[bytes]]:
    """A rebuilt form, as an engine reads it."""
    boundary = form.CONTENT_TYPE.partition(b"boundary=")[2]
    fields: dict[str, list[bytes]] = {}
    name = ""
    for event in PushMultipartParser(boundary, strict=True).parse(raw):
        if isinstance(event, MultipartSegment):
            name = event.name or ""
            fields.setdefault(name, []).append(b"")
        elif event is not None:
            fields[name][-1] += bytes(event)
    return fields


def wav(seconds: float, rate: int = 16_000, channels: int = 1, bits: int = 16) -> bytes:
    size = int(seconds * rate) * channels * bits // 8
    block = channels * bits // 8
    head = struct.pack(
        "<4sI8sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVEfmt ", 16, 1, channels, rate, rate * block),
        block,
        bits,
        b"data",
        size,
    )
    return head + bytes(size)


def asked(*parts: Part) -> Ask:
    return ENDPOINT.read(written(("model", b"m"), *parts)).ask(ENDPOINT.name)


@given(
    st.binary(min_size=1, max_size=300),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.from_regex(rb"[A-Za-z0-9'()+_,./:=? -]{1,60}[A-Za-z0-9]", fullmatch=True),
)
def test_what_was_read_travels_whole_and_under_our_own_boundary(file: bytes, prompt: str, boundary: bytes) -> None:
    raw = written(("model", b"m"), ("prompt", prompt.encode()), ("file", file), boundary=boundary)
    if b"\r\n--" + boundary in file or b"\r\n--" + boundary in prompt.encode():
        return
    sent = read_back(ENDPOINT.read(raw).rebuild("upstream", 7, "salt"))
    assert sent == {
        "model": [b"upstream"],
        "prompt": [prompt.encode()],
        "max_completion_tokens": [b"7"],
        "file": [file],
    }


def test_fields_are_typed_and_lists_travel_as_lists() -> None:
    raw = written(
        *(("model", b"m"), ("temperature", b"0.5"), ("stream", b"true"), ("stream_include_usage", b"false")),
        *(("timestamp_granularities[]", b"word"), ("timestamp_granularities[]", b"segment"), ("file", b"x")),
        *(("language", b"de"), ("response_format", b"json"), ("seed", b"7")),
    )
    body = ENDPOINT.read(raw)
    assert body.wants_usage() == (False, False)
    assert body.ask(ENDPOINT.name).streamed
    sent = read_back(body.rebuild("upstream", 7, None))
    assert sent["timestamp_granularities[]"] == [b"word", b"segment"]
    assert (sent["temperature"], sent["seed"], sent["language"]) == ([b"0.5"], [b"7"], [b"de"])
    # Whatever the client asked for, the engine tells the usage all along.
    assert sent["stream"] == sent["stream_include_usage"] == sent["stream_continuous_usage_stats"] == [b"true"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ([], (False, False)),
        ([("stream_include_usage", b"true")], (True, False)),
        ([("stream_include_usage", b"1"), ("stream_continuous_usage_stats", b"true")], (True, True)),
        ([("stream_continuous_usage_stats", b"true")], (False, False)),
    ],
)
def test_a_client_gets_the_usage_that_it_asked_for(fields: list[Part], wanted: tuple[bool, bool]) -> None:
    raw = written(("model", b"m"), ("stream", b"true"), *fields, ("file", b"x"))
    assert ENDPOINT.read(raw).wants_usage() == wanted


def test_what_is_of_no_use_to_the_engine_is_accepted_and_left_out() -> None:
    unused = [(name, b"x") for name in transcriptions.UNUSED]
    listed = [("include[]", b"logprobs"), ("chunking_strategy[type]", b"server_vad"), ("known_speaker_names[]", b"a")]
    body = ENDPOINT.read(written(("model", b"m"), *unused, *listed, ("file", b"x")))
    assert read_back(body.rebuild("upstream", 7, None)).keys() == {"model", "max_completion_tokens", "file"}


@pytest.mark.parametrize("name", ["", 'mo\\"del', "mo\rdel", "language; x", "großes", "a[b"])
def test_a_field_is_refused_whose_name_could_not_be_written_anew(name: str) -> None:
    with pytest.raises(BadBody, match="name of a form's field"):
        ENDPOINT.read(written(("model", b"m"), (name, b"x"), ("file", b"x")))


def test_neither_the_name_of_the_file_nor_the_type_of_a_part_travels() -> None:
    raw = written(("model", b"m"), ("file", b"x"), filename="secret-name.mp3")
    sent = ENDPOINT.read(raw).rebuild("upstream", 7, None)
    assert b"secret-name" not in sent
    assert b"audio/mpeg" not in sent


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([("model", b"m")], "file"),
        ([("model", b"m"), ("file", b"")], "file"),
        ([("file", b"x")], "model"),
        ([("model", b"m"), ("file", b"x"), ("file", b"y")], "file"),
        ([("model", b"m"), ("model", b"n"), ("file", b"x")], "model"),
        ([("model", b"m"), ("file", b"x"), ("foo", b"1")], "foo"),
        ([("model", b"m"), ("file", b"x"), ("vllm_xargs", b"{}")], "vllm_xargs"),
        ([("model", b"m"), ("file", b"x"), ("to_language", b"de")], "to_language"),
        ([("model", b"m"), ("file", b"x"), ("use_beam_search", b"true")], "use_beam_search"),
        ([("model", b"m"), ("file", b"x"), ("temperature", b"hot")], "temperature"),
        ([("model", b"m"), ("file", b"x"), ("temperature", b"nan")], "temperature"),
        ([("model", b"m"), ("file", b"x"), ("temperature", b"inf")], "temperature"),
        ([("model", b"m"), ("file", b"x"), ("response_format", b"srt")], "response_format"),
        ([("model", b"m"), ("file", b"x"), ("max_completion_tokens", b"0")], "max_completion_tokens"),
        ([("model", b"m"), ("file", b"x"), ("max_completion_tokens", b"9" * 30)], "max_completion_tokens"),
        ([("model", b"m"), ("file", b"x"), ("stream_include_usage", b"true")], "stream_include_usage"),
        ([("model", b"m"), ("file", b"x"), ("prompt", b"p" * (form.MAX_TEXT_BYTES + 1))], "prompt"),
    ],
)
def test_a_bad_field_is_named(parts: list[Part], param: str) -> None:
    with pytest.raises(BadBody) as refused:
        ENDPOINT.read(written(*parts))
    assert refused.value.param == param
    assert refused.value.message.endswith(".")


GOOD = written(("model", b"m"), ("file", b"xyz"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"--\r\n",
        b"--b0undary--\r\n",
        b"junk" + GOOD,
        GOOD[:-3],
        GOOD[:40],
        GOOD + b"more",
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"form-data; name", b"attachment; name"),
        GOOD.replace(b'; name="model"', b""),
        GOOD.replace(b"\r\n\r\nm", b"\r\n\r\n\xff"),
        GOOD.replace(b'name="model"', b'name="m\xff"'),
        GOOD.replace(b"Content-Disposition", b"X-" + b"y" * 9000),
        written(("model", b"m"), ("file", b"x"), boundary=b"b" * 71),
        written(*[("model", b"m")] * (form.MAX_FIELDS + 1)),
    ],
)
def test_what_is_not_a_strict_form_is_refused_and_never_raises_otherwise(raw: bytes) -> None:
    with pytest.raises(BadBody) as refused:
        ENDPOINT.read(raw)
    assert refused.value.message.endswith(".")


@given(st.integers(0, len(GOOD)), st.binary(max_size=4))
def test_a_form_with_some_bytes_changed_is_read_or_refused(at: int, other: bytes) -> None:
    with contextlib.suppress(BadBody):
        body = ENDPOINT.read(GOOD[:at] + other + GOOD[at + len(other) :])
        assert read_back(body.rebuild("upstream", 1, None))["model"] == [b"upstream"]


def test_a_file_with_our_own_boundary_does_not_travel() -> None:
    boundary = form.CONTENT_TYPE.partition(b"boundary=")[2]
    with pytest.raises(BadBody):
        ENDPOINT.read(written(("model", b"m"), ("file", b"a" + boundary))).rebuild("upstream", 1, None)
    with pytest.raises(BadBody):
        ENDPOINT.read(written(("model", b"m"), ("prompt", boundary), ("file", b"a"))).rebuild("upstream", 1, None)


# -- how long it is ----------------------------------------------------------------------------------------------------


@given(st.floats(0.1, 30), st.sampled_from([8000, 16_000, 44_100]), st.integers(1, 2), st.sampled_from([8, 16, 24]))
def test_a_plain_wav_is_never_held_as_shorter_than_it_is(seconds: float, rate: int, channels: int, bits: int) -> None:
    bound = audio.seconds(wav(seconds, rate, channels, bits))
    assert seconds - 1 / rate <= bound <= seconds + 2


@pytest.mark.parametrize("head", [b"fLaC", b"ID3", b"OggS", b"RIFF", b"", b"\x00" * 60])
def test_what_cannot_be_told_is_held_as_the_most_that_an_engine_decodes(head: bytes) -> None:
    assert audio.seconds(head + b"x") == audio.MAX_SECONDS


@pytest.mark.parametrize("at", [20, 22, 24, 34])
def test_a_wav_whose_head_says_nothing_is_held_as_the_most(at: int) -> None:
    file = bytearray(wav(3))
    file[at : at + 2] = b"\x00\x00"
    assert audio.seconds(bytes(file)) == audio.MAX_SECONDS


def test_a_second_head_in_a_wav_is_not_believed() -> None:
    assert audio.seconds(wav(3) + b"fmt ") == audio.MAX_SECONDS


def test_the_hold_is_of_the_sound_and_of_the_answers_of_all_its_clips() -> None:
    ask = asked(("file", wav(3)), ("prompt", b"names: Ada"))
    assert 3 * audio.TOKENS_PER_SECOND + 10 <= ask.prompt <= 4 * audio.TOKENS_PER_SECOND + 40
    assert (ask.n, ask.output, ask.streamed) == (1, NOT_ASKED, False)
    assert asked(("file", b"ID3"), ("max_completion_tokens", b"9")).output == 9
    assert asked(("file", b"ID3")).n == -(-audio.MAX_SECONDS // transcriptions.CLIP_S)


# -- what its answer reports -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"text": "x", "usage": {"type": "duration", "seconds": 3}}, (300, 0, 0)),
        ({"text": "x", "usage": {"type": "duration", "seconds": 2.2}}, (300, 0, 0)),
        ({"text": "x", "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 7}}, (5, 7, 0)),
        ({"text": "x", "usage": {"prompt_tokens": 5, "completion_tokens": 7}}, (5, 7, 0)),
        ({"text": "x", "duration": 2.5}, (300, 0, 0)),
        ({"text": "x", "duration": -1}, (0, 0, 0)),
        ({"text": "x"}, None),
        ([], None),
    ],
)
def test_a_transcription_is_metered_by_tokens_or_by_seconds(
    answer: object, tokens: tuple[int, int, int] | None
) -> None:
    assert ENDPOINT.reported(msgspec.json.encode(answer)) == tokens
