"""Parts of a content: texts and images are held, all else is refused by name, and no engine is sent to fetch inside."""

import msgspec
import pytest

from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.bodies.messages import OVERHEAD
from ias_gateway.bodies.strict import BadBody

CHAT = BY_PATH[b"/v1/chat/completions"]
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def chat(*content: dict[str, object]) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": list(content)}]})


def image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_images_are_counted_and_their_addresses_are_no_text() -> None:
    ask = CHAT.read(chat(image(PIXEL), {"type": "text", "text": "héllo"}, image("https://example.com/x.png"))).ask("e")
    assert (ask.images, ask.prompt) == (2, OVERHEAD + 6 + 3)


@pytest.mark.parametrize(
    "url",
    [
        PIXEL,
        "DATA:image/JPEG;base64,AAAA",
        "https://example.com/x.png?a=b#c",
        "https://example.com:8443/x.png",
        "https://93.184.216.34/x.png",
        "https://[2606:4700:4700::1111]/x.png",
    ],
)
def test_an_image_may_be_in_the_request_or_at_a_public_address(url: str) -> None:
    assert url.encode() in CHAT.read(chat(image(url))).rebuild("u", 1, None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://example.com/x.png",
        "ftp://example.com/x.png",
        "file:///etc/passwd",
        "data:text/html;base64,AAAA",
        "data:image/png,AAAA",
        "https:///x.png",
        "https://localhost/x.png",
        "https://engine/x.png",
        "https://engine.internal/x.png",
        "https://printer.local/x.png",
        "https://127.0.0.1/x.png",
        "https://127.1/x.png",
        "https://2130706433/x.png",
        "https://0x7f.1/x.png",
        "https://0x7f000001/x.png",
        "https://10.0.0.1/x.png",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x.png",
        "https://[::ffff:127.0.0.1]/x.png",
        "https://[fe80::1%25eth0]/x.png",
        "https://user:password@example.com/x.png",
        "https://example.com:99999/x.png",
        "https://exämple.com/x.png",
        "https://[::1/x.png",
        " https://example.com/x.png",
        "https://exam\nple.com/x.png",
        "https://a..b/x.png",
        "https://engine.inference.svc/x.png",
        "https://example.com\\@127.0.0.1/x.png",
    ],
)
def test_an_engine_is_not_sent_to_fetch_from_anywhere_else(url: str) -> None:
    with pytest.raises(BadBody) as refused:
        CHAT.read(chat(image(url)))
    assert refused.value.param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "messages[0].content[0]"),
        ({"type": "file", "file": {"file_id": "x"}}, "messages[0].content[0]"),
        ({"type": "input_audio"}, "messages[0].content[0]"),
        ({"type": "text", "text": "x", "input_audio": {}}, "messages[0].content[0]"),
        ({"type": "text"}, "messages[0].content[0]"),
        ({"type": "image_url"}, "messages[0].content[0]"),
        ({"type": "text", "text": "x", "image_url": {"url": PIXEL}}, "messages[0].content[0]"),
        ({"type": "image_url", "image_url": {"url": PIXEL}, "uuid": "x"}, "messages[0].content[0].uuid"),
        ({"type": "image_url", "image_url": {"url": PIXEL, "x": 1}}, "messages[0].content[0].image_url.x"),
        ({"type": "image_embeds", "image_embeds": "x"}, "messages[0].content[0].type"),
        ({"type": "video_url", "text": "x"}, "messages[0].content[0].type"),
        ({"type": "input_image", "text": "x"}, "messages[0].content[0].type"),
    ],
)
def test_parts_that_cannot_be_priced_or_say_two_things_are_refused_by_name(part: dict[str, object], param: str) -> None:
    with pytest.raises(BadBody) as refused:
        CHAT.read(chat(part))
    assert refused.value.param == param
    assert refused.value.message.endswith(".")


def test_marks_for_openais_cache_are_accepted_and_left_out() -> None:
    part = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert b"prompt_cache_breakpoint" not in CHAT.read(chat(part)).rebuild("u", 1, None)


def test_an_earlier_answers_audio_is_left_out() -> None:
    raw = b'{"model":"m","messages":[{"role":"assistant","audio":{"id":"a"}},{"role":"user","content":"x"}]}'
    assert b"audio" not in CHAT.read(raw).rebuild("u", 1, None)


def test_a_chat_template_of_the_callers_own_is_refused_wherever_it_stands() -> None:
    raw = chat({"type": "text", "text": "x"})[:-1] + b',"chat_template_kwargs":{"chat_template":"{{ x }}"}}'
    with pytest.raises(BadBody) as refused:
        CHAT.read(raw)
    assert refused.value.param == "chat_template_kwargs.chat_template"
