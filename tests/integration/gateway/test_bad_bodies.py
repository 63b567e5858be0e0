"""JSON as it should not be: gateway and engine read the same, or the engine never sees it. Sent as raw bytes."""

import secrets
from collections.abc import AsyncIterator

import msgspec
import pytest

from ias.contract.usage import decode_facts
from tests.integration.gateway.place import CHAT, MODEL, Tenant, eventually
from tests.integration.gateway.raw_engine import Call, raw_engine, whole
from tests.integration.gateway.wire import GET, HEAD, HOST, Wire, post, wired

GOOD = b'"model":"mock-gpt","messages":[{"role":"user","content":"hi"}]'
ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
DEEP = 10**5


@pytest.fixture
async def wire(tenant: Tenant) -> AsyncIterator[Wire]:
    async with wired(tenant.place) as wire:
        yield wire


def with_field(field: bytes) -> bytes:
    return b"{" + GOOD + b"," + field + b"}"


def saying(content: bytes) -> bytes:
    return b'{"model":"mock-gpt","messages":[{"role":"user","content":"%b"}]}' % content


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"none","model":"mock-gpt","max_tokens":50,"max_tokens":3,%b}',
        b'{"model":"none","max_tokens":50,%b,"m\\u006fdel":"mock-gpt","\\u006dax_tokens":3}',
        b'{"\\u006dodel":"none","max_token\\u0073":50,%b,"model":"mock-gpt","max_tokens":3}',
        b'{"max_tokens":99,"max_tokens":50,"max_tokens":3,"model":"x","model":"y","model":"mock-gpt",%b}',
        b'{"stream":true,"stream":false,"n":7,"n":1,"model":"mock-gpt","max_tokens":3,%b}',
    ],
)
async def test_engine_and_gateway_see_the_same_value_of_a_field_that_is_there_twice(
    wire: Wire, tenant: Tenant, body: bytes
) -> None:
    wire.send(post(tenant, body % b'"messages":[{"role":"user","content":"a","content":"b"}]'))
    status, answer = await wire.told()
    assert status == 200
    (line,) = await tenant.books_agree()
    wrote = (await tenant.place.oracle())[line["r"]]
    facts = decode_facts(line["f"])
    assert (facts.model, facts.model_id) == ("mock-gpt", MODEL)
    assert wrote["model"] == answer["model"] == "mock-gpt"
    assert wrote["completion_tokens"] == int(line["ct"]) == 3


async def test_the_engine_gets_every_field_once_and_in_one_spelling(wire: Wire, tenant: Tenant) -> None:
    async def answer(call: Call) -> None:
        await call.send(whole(ANSWER))

    twice = b'"temperature":0.1,"t\\u0065mperature":0.5,"stop":"a","stop":"b","seed":1,"seed":2,"max_tokens":9'
    async with raw_engine(answer) as engine:
        await tenant.route((engine.url,), upstream="inner")
        wire.send(post(tenant, b'{"model":"a","model":"mock-gpt",' + twice + b"," + GOOD + b',"max_tokens":7}'))
        assert (await wire.told())[0] == 200
        sent = engine.calls[0].raw
    for field in (b'"model"', b'"temperature"', b'"stop"', b'"seed"', b'"messages"', b'"content"'):
        assert sent.count(field) == 1
    assert b"\\u00" not in sent
    told = msgspec.json.decode(sent)
    assert (told["model"], told["temperature"], told["stop"], told["seed"]) == ("inner", 0.5, "b", 2)
    assert told["max_completion_tokens"] == 7
    assert "max_tokens" not in told


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * DEEP, id="arrays without end"),
        pytest.param(b'{"a":' * DEEP, id="objects without end"),
        pytest.param(b"[" * DEEP + b"]" * DEEP, id="arrays"),
        pytest.param(with_field(b'"tools":[{"a":' + b"[" * DEEP + b"]" * DEEP + b"}]"), id="arrays in a field"),
        pytest.param(with_field(b'"tools":[' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"]"), id="objects in a field"),
        pytest.param(with_field(b'"tools":[{"a":' + b"[" * 900 + b"]" * 900 + b"}]"), id="less deep"),
        pytest.param(with_field(b'"response_format":' + b'{"a":' * 300 + b"1" + b"}" * 300), id="a deep schema"),
    ],
)
async def test_what_is_nested_too_deeply_is_refused_and_nobody_is_charged(
    wire: Wire, tenant: Tenant, body: bytes
) -> None:
    wire.send(post(tenant, body))
    await refused(wire)
    await serves(wire, tenant)


@pytest.mark.parametrize(
    ("field", "param"),
    [
        (b'"temperature":1e400', "temperature"),
        (b'"temperature":-1e400', "temperature"),
        (b'"temperature":NaN', None),
        (b'"temperature":-Infinity', None),
        (b'"temperature":' + b"9" * 400, "temperature"),
        (b'"temperature":"1"', "temperature"),
        (b'"temperature":+1', None),
        (b'"temperature":.5', None),
        (b'"temperature":0x1', None),
        (b'"max_tokens":1.0', "max_tokens"),
        (b'"max_tokens":1e2', "max_tokens"),
        (b'"max_tokens":-0', "max_tokens"),
        (b'"max_tokens":0', "max_tokens"),
        (b'"max_tokens":-1', "max_tokens"),
        (b'"max_tokens":01', None),
        (b'"max_tokens":9223372036854775808', "max_tokens"),
        (b'"max_tokens":"5"', "max_tokens"),
        (b'"max_tokens":true', "max_tokens"),
        (b'"n":1.0', "n"),
        (b'"n":129', "n"),
        (b'"n":9223372036854775808', "n"),
        (b'"seed":9223372036854775808', "seed"),
        (b'"seed":-9223372036854775809', "seed"),
        (b'"seed":1.0', "seed"),
        (b'"seed":' + b"9" * 100_000, "seed"),
        (b'"top_k":9223372036854775808', "top_k"),
        (b'"min_tokens":9223372036854775808', "min_tokens"),
        (b'"top_logprobs":9223372036854775808', "top_logprobs"),
        (b'"stop_token_ids":[9223372036854775808]', "stop_token_ids[0]"),
        (b'"logit_bias":{"1":1e400}', "logit_bias[...]"),
    ],
)
async def test_a_number_that_is_none_or_out_of_range_is_refused(
    wire: Wire, tenant: Tenant, field: bytes, param: str | None
) -> None:
    wire.send(post(tenant, with_field(field)))
    assert (await refused(wire))["param"] == param
    await serves(wire, tenant)


@pytest.mark.parametrize(
    ("written", "read"), [(b"-0", 0.0), (b"-0.0", 0.0), (b"1e-400", 0.0), (b"5e-1", 0.5), (b"0.50", 0.5), (b"1", 1.0)]
)
async def test_an_odd_number_that_is_one_reaches_the_engine_as_the_same(
    wire: Wire, tenant: Tenant, written: bytes, read: float
) -> None:
    async def answer(call: Call) -> None:
        await call.send(whole(ANSWER))

    async with raw_engine(answer) as engine:
        await tenant.route((engine.url,))
        wire.send(post(tenant, with_field(b'"temperature":' + written)))
        assert (await wire.told())[0] == 200
        assert engine.calls[0].body["temperature"] == read


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(saying(b"hi").decode().encode("utf-16"), id="UTF-16 with its mark"),
        pytest.param(saying(b"hi").decode().encode("utf-16-le"), id="UTF-16LE"),
        pytest.param(saying(b"hi").decode().encode("utf-16-be"), id="UTF-16BE"),
        pytest.param(saying(b"hi").decode().encode("utf-32"), id="UTF-32"),
        pytest.param(b"\xef\xbb\xbf" + saying(b"hi"), id="a byte order mark"),
        pytest.param(saying(b"\\ud800"), id="half a pair"),
        pytest.param(saying(b"\\udc00"), id="the other half"),
        pytest.param(saying(b"\\udc00\\ud800"), id="a pair turned round"),
        pytest.param(saying(b"\\ud800\\u0041"), id="half a pair and a letter"),
        pytest.param(saying(b"\xed\xa0\x80"), id="half a pair in UTF-8"),
        pytest.param(saying(b"\xed\xa0\xbd\xed\xb8\x80"), id="CESU-8"),
        pytest.param(saying(b"\xc0\x80"), id="an overlong NUL"),
        pytest.param(saying(b"\xc0\xaf"), id="an overlong slash"),
        pytest.param(saying(b"\xf0\x82\x82\xac"), id="an overlong euro"),
        pytest.param(saying(b"\xf4\x90\x80\x80"), id="beyond Unicode"),
        pytest.param(saying(b"\xff"), id="no UTF-8"),
        pytest.param(saying(b"\xe2\x82"), id="a character cut off"),
        pytest.param(saying(b"a\x00b"), id="a bare NUL"),
        pytest.param(saying(b"a\nb"), id="a bare line break"),
        pytest.param(saying(b"\\x41"), id="an escape that is none"),
        pytest.param(saying(b"\\u12"), id="an escape cut off"),
        pytest.param(b'{"model":"\\ud800","messages":[]}', id="half a pair in a name"),
        pytest.param(with_field(b'"\\ud800":1'), id="half a pair as a field"),
        pytest.param(b"", id="nothing"),
        pytest.param(b" ", id="white space"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"x"', id="a text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{", id="an end that is missing"),
        pytest.param(with_field(b'"n":1') + b"{}", id="two documents"),
        pytest.param(with_field(b'"n":1,'), id="a comma too many"),
        pytest.param(b"{" + GOOD + b"/**/}", id="a comment"),
        pytest.param(b"{'model':'mock-gpt'}", id="single quotes"),
        pytest.param(b"model=mock-gpt", id="a form"),
        pytest.param(b"\x1f\x8b\x08\x00", id="gzip"),
        pytest.param(with_field(b'"' + b"x" * 100_000 + b'":1'), id="a field with a long name"),
    ],
)
async def test_a_text_that_is_no_json_of_a_request_is_refused(wire: Wire, tenant: Tenant, body: bytes) -> None:
    wire.send(post(tenant, body))
    error = await refused(wire)
    assert len(error["message"]) < 400
    await serves(wire, tenant)


async def test_a_nul_that_is_escaped_is_text_like_any_other(wire: Wire, tenant: Tenant) -> None:
    wire.send(post(tenant, saying(b"a\\u0000b")))
    assert (await wire.told())[0] == 200
    await tenant.books_agree()


async def refused(wire: Wire) -> dict[str, str]:
    """The error of a 400 in OpenAI's shape."""
    status, body = await wire.told()
    assert status == 400, body
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith(".")
    return error


async def serves(wire: Wire, tenant: Tenant) -> None:
    """The connection is still good, and nothing but this request was charged."""
    wire.send(post(tenant, with_field(b'"max_tokens":1')))
    assert (await wire.told())[0] == 200
    assert len(await tenant.lines(1)) == 1


def bad_requests(tenant: Tenant, prompt: bytes) -> list[bytes]:
    """Requests that are refused at every stage there is, with the key and the prompt in every place there is."""
    key = tenant.token.encode()
    bearer = b"authorization: Bearer %b\r\n" % key
    bodies = [
        saying(prompt)[:-2],
        saying(prompt + b"\\ud800"),
        saying(prompt + b"\xff"),
        with_field(b'"user":"%b","n":0' % prompt),
        with_field(b'"temperature":"%b"' % prompt),
        with_field(b'"stop":{"%b":1}' % prompt),
        with_field(b'"stream":"%b"' % prompt),
        with_field(b'"tool_choice":["%b"]' % prompt),
        with_field(b'"logit_bias":{"%b":"x"}' % prompt),
        b'{"model":"mock-gpt","messages":[{"role":"%b","content":"x"}]}' % prompt,
        b'{"model":"mock-gpt","messages":[{"role":"user","content":{"%b":"x"}}]}' % prompt,
        b'{"model":"mock-gpt","messages":[{"role":"user","content":[{"type":"%b"}]}]}' % prompt,
        b'{"model":"mock-gpt","messages":"%b"}' % prompt,
        b'{"model":"none","messages":[{"role":"user","content":"%b"}]}' % prompt,
        saying(b"[[mock status=400]] " + prompt),
        saying(b"[[mock status=500]] " + prompt),
        saying(b"[[mock die_after=0]] " + prompt),
        saying(b"[[mock status=404]] " + prompt),
    ]
    heads = [
        GET + HOST + bearer + bearer + b"\r\n",
        GET + HOST + bearer.replace(b"\r\n", b"x\r\n") + b"\r\n",
        GET + HOST + bearer.replace(b"Bearer", b"Basic") + b"\r\n",
        GET + HOST + bearer.replace(b"authorization: Bearer ", b"") + b"\r\n",
        GET + b"host: %b/\r\n\r\n" % key,
        b"TRACE /%b HTTP/1.1\r\n" % key + HOST + bearer + b"\r\n",
        b"GET /v1/%b?key=%b HTTP/1.1\r\n" % (prompt, key) + HOST + b"\r\n",
        b"%b %b\r\n\r\n" % (key, prompt),
        HEAD + HOST + bearer + b"content-type: text/%b\r\n\r\n" % prompt,
        HEAD + HOST + bearer + b"transfer-encoding: %b\r\n\r\n" % prompt,
        HEAD + HOST + bearer + b"content-length: %b\r\n\r\n" % prompt,
        HEAD + HOST + bearer + b"transfer-encoding: chunked\r\n\r\n%b\r\n" % prompt,
    ]
    return [post(tenant, body) for body in bodies] + heads


async def test_no_answer_and_no_line_of_the_log_repeats_a_key_or_a_prompt(tenant: Tenant) -> None:
    prompt = b"prompt" + secrets.token_hex(8).encode()
    answers: list[bytes] = []
    for sent in bad_requests(tenant, prompt):
        async with wired(tenant.place) as wire:
            wire.send(sent)
            status, headers, body = await wire.answer()
            assert 400 <= status < 600
            assert status != 500
            answers.append(repr((headers, body)).encode())
    said = b"\n".join(answers)
    key = tenant.token.encode()
    assert key not in said
    assert prompt not in said

    async def logged() -> bytes:
        last = post(tenant, saying(prompt))
        async with wired(tenant.place) as wire:
            wire.send(last)
            request_id = (await wire.answer())[1]["x-request-id"]

        async def there() -> bool:
            return request_id in tenant.place.gateway.log.read_text()

        await eventually(there)
        return tenant.place.gateway.log.read_bytes()

    log = await logged()
    assert log.count(b'"event":"request"') > len(answers) // 2
    assert key not in log
    assert key[13:56] not in log
    assert prompt not in log


async def test_every_endpoint_refuses_the_same_junk(tenant: Tenant) -> None:
    junk = (b"", b"[" * DEEP, b"\xff\xfe{\x00}\x00", b'{"model":1}', b'{"model":"mock-gpt","nonsense":1}', b"null")
    paths = (CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/rerank", "/v1/score", "/tokenize")
    async with wired(tenant.place) as wire:
        for path in (*paths, "/detokenize"):
            for body in junk:
                wire.send(post(tenant, body, path=path))
                await refused(wire)
        await serves(wire, tenant)
