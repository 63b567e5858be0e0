"""What a refused body is told: enough to mend it, and nothing of what may have been a prompt."""

import pytest

from ias_gateway.bodies import form
from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.bodies.strict import BadBody

PROMPT = "the-prompt-of-somebody"


def refusal(raw: str, path: bytes = b"/v1/chat/completions") -> BadBody:
    with pytest.raises(BadBody) as refused:
        BY_PATH[path].read(raw.encode())
    return refused.value


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ('{"model":"m","messages":[{"role":"%s","content":"x"}]}', "messages[0].role"),
        ('{"model":"m","messages":"%s"}', "messages"),
        ('{"model":"m","messages":[],"n":"%s"}', "n"),
        ('{"model":"m","messages":[],"stop":{"%s":1}}', "stop"),
    ],
)
def test_a_value_that_was_sent_is_not_said_again(raw: str, param: str) -> None:
    error = refusal(raw % PROMPT)
    assert PROMPT not in error.message
    assert error.param == param


def test_a_value_that_looks_like_a_place_is_no_place() -> None:
    error = refusal('{"model":"m","messages":[{"role":"x\' - at `$.model`","content":"x"}]}')
    assert error.param == "messages[0].role"


def test_a_field_with_a_long_name_is_named_in_short() -> None:
    error = refusal('{"model":"m","%s":1}' % ("x" * 5000))
    assert error.param == "x" * 100
    assert len(error.message) < 200


@pytest.mark.parametrize("field", ["seed", "top_k", "min_tokens", "truncate_prompt_tokens", "max_tokens"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_is_one_that_an_engine_can_hold(field: str, number: int) -> None:
    assert refusal(f'{{"model":"m","messages":[],"{field}":{number}}}').param == field


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        (b"/v1/completions", '{"model":"m","prompt":[%d]}'),
        (b"/v1/completions", '{"model":"m","prompt":[[1],[%d]]}'),
        (b"/v1/embeddings", '{"model":"m","input":[%d]}'),
        (b"/v1/chat/completions", '{"model":"m","messages":[],"stop_token_ids":[%d]}'),
        (b"/v1/chat/completions", '{"model":"m","messages":[],"allowed_token_ids":[%d]}'),
        (b"/detokenize", '{"model":"m","tokens":[%d]}'),
    ],
)
@pytest.mark.parametrize("token", [-1, 2**31, 2**63, 10**30])
def test_a_token_that_no_vocabulary_has_does_not_reach_an_engine(path: bytes, raw: str, token: int) -> None:
    refusal(raw % token, path)


def test_a_form_that_cannot_be_read_is_not_said_again() -> None:
    part = b'Content-Disposition: form-data; name="%b\xff"\r\n\r\nx\r\n' % PROMPT.encode()
    with pytest.raises(BadBody) as refused:
        form.read(b"--b\r\n" + part + b"--b--\r\n")
    assert PROMPT not in refused.value.message
