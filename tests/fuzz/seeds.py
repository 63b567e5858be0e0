"""Where fuzzing starts: inputs as they should be, and some as they should not, of every target."""

from collections.abc import Iterator
from pathlib import Path

from ias.contract import keys
from ias_gateway.bodies.endpoints import BY_PATH
from tests.fuzz.targets import endpoint_of
from tests.unit.gateway.streams import ERROR, Script

_TOKEN = b"ias_0aB3dE6g_" + b"0123456789" * 4 + b"abc"
_MESSAGES = b'"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]'
_PARTS = b'{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:x"}}]}'
_TOOLS = b'"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto"'
_CALL = b'{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}'
_TWICE = b'"model":"x","m\\u006fdel":"y","max_tokens":1,"max_tokens":2'
_BODIES: dict[bytes, tuple[bytes, ...]] = {
    b"/v1/chat/completions": (
        b'{"model":"m",' + _MESSAGES + b',"stream":true,"stream_options":{"include_usage":true},"max_tokens":5}',
        b'{"model":"m","messages":['
        + _PARTS
        + b","
        + _CALL
        + b',{"role":"tool","tool_call_id":"1","content":"2"}],'
        + _TOOLS
        + b"}",
        b"{" + _TWICE + b"," + _MESSAGES + b',"temperature":1e2,"logit_bias":{"1":-1},"stop":["a"],"seed":-1,"n":2}',
        b'{"model":"m",' + _MESSAGES + b',"response_format":{"type":"json_schema","json_schema":{"name":"n"}}}',
    ),
    b"/v1/completions": (
        b'{"model":"m","prompt":["a","b"],"best_of":2,"echo":true,"logprobs":1}',
        b'{"model":"m","prompt":[[1,2],[3]],"suffix":"x"}',
    ),
    b"/v1/embeddings": (b'{"model":"m","input":["a",""],"dimensions":8,"encoding_format":"base64"}',),
    b"/v1/responses": (
        b'{"model":"m","input":"hi","instructions":"be brief","max_output_tokens":5,"stream":true}',
        b'{"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}]}',
    ),
    b"/v1/rerank": (b'{"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1}',),
    b"/v1/score": (b'{"model":"m","text_1":"a","text_2":["b","c"]}',),
    b"/tokenize": (b'{"model":"m","prompt":"a"}', b'{"model":"m",' + _MESSAGES + b"}"),
    b"/detokenize": (b'{"model":"m","tokens":[1,2,3]}',),
}
ORGS = Path(__file__).parents[2] / "orgs"
_POLICIES = (
    b"apiVersion: ias.linode.com/v1\nkind: Organization\nmetadata: {name: x}\nspec: {}\n",
    b"a: &a [x, x]\nb: [*a, *a]\nc: !!python/object:os.system x\n<<: *a\n---\n...\n",
    b"%YAML 1.1\n---\n? [a]\n: |+\n  b\n'c': \"\\u202e\\n\"\n",
)
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="timestamp_granularities[]"\r\n\r\nword\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x00\x00\x00\x00\r\n--b--\r\n"
)
_HEADS = (
    b"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer x\r\n\r\n",
    b"POST /v1/completions?x=1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nx: y\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx",
    b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nabc",
    b"GET / HTTP/1.0\r\nhost: [::1]:8\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
)
_ANSWERS = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nabc",
    b"HTTP/1.1 302 Found\r\nlocation: http://b/\r\ncontent-length: 0\r\n\r\n",
)
_RESPONSE = (
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","sequence_number":1,"delta":"a"}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2,"response":{"usage":'
    b'{"input_tokens":3,"output_tokens":2,"input_tokens_details":{"cached_tokens":1}}}}\n\n'
)


def write_seeds(corpus: Path) -> None:
    """Put the seeds into the corpus, a folder a target."""
    for name, inputs in _seeds().items():
        (corpus / name).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (corpus / name / f"seed-{number:02}").write_bytes(data)


def _seeds() -> dict[str, list[bytes]]:
    streams = [Script(newline=newline).stream() for newline in ("\n", "\r\n")]
    streams += [Script(running=False).stream(), Script(texts=["a"]).stream()[:150] + ERROR, _RESPONSE, b": ping\n\n"]
    return {
        "body": list(_bodies()),
        "multipart": [_FORM, _FORM.replace(b"--b--\r\n", b"--b--"), _FORM.replace(b"\r\n", b"\n")],
        "key": [_TOKEN + b"_" + keys.checksum(_TOKEN), _TOKEN + b"_000000", b"bearer x"],
        "stream": [b"\3\0\0\0" + stream for stream in streams],
        "script": [
            bytes((9, asked, 1, 2)) + bytes((first,)) + b"\4Hello\2\xc3\xbc!\5[DONE]" for asked, first in _ASKED
        ],
        "reported": [
            b'{"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}',
            b'{"usage":{"input_tokens":3,"output_tokens":2},"text":"a"}',
            b'{"usage":{"type":"duration","seconds":3},"duration":"2.5"}',
            b'\0\0\0\0{"error":{"message":"inner is at its maximum context length","param":"x","code":400}}',
            b'\1\0\0\0{"detail":"Not Found"}',
        ],
        "head": [bytes((number, 1, 2, 3)) + head for number, head in enumerate(_HEADS)],
        "policy": [*(file.read_bytes() for file in sorted(ORGS.glob("*/org.yaml"))), *_POLICIES],
        "answer": [bytes((number, 1, 2, 3)) + answer for number, answer in enumerate(_ANSWERS)],
    }


_ASKED = ((0, 3), (1, 7), (3, 1), (0, 2), (1, 0))


def _bodies() -> Iterator[bytes]:
    for control in range(len(set(BY_PATH.values()))):
        path = endpoint_of(control).path
        for raw in _BODIES.get(path, (_FORM,)):
            yield bytes((control, 0, 0, 0)) + raw
