"""Requests that the mock engine and the real one are both asked, to compare what their answers are made of."""

from typing import Any

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
CHAT, TEXT, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
FULL = {"include_usage": True, "continuous_usage_stats": True}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]},
    },
}


def chat(**fields: Any) -> tuple[str, dict[str, Any]]:
    return CHAT, {"messages": MESSAGES, "max_tokens": 6, "temperature": 0, "ignore_eos": True, **fields}


def text(**fields: Any) -> tuple[str, dict[str, Any]]:
    return TEXT, {"prompt": "The capital of France is", "max_tokens": 6, "temperature": 0, "ignore_eos": True, **fields}


def responses(**fields: Any) -> tuple[str, dict[str, Any]]:
    return RESPONSES, {"input": "What is the capital of France?", "max_output_tokens": 16, "temperature": 0} | fields


TOOL = {"tools": [WEATHER], "max_tokens": 120, "ignore_eos": False}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": chat(),
    "chat, streamed": chat(stream=True),
    "chat, streamed with usage": chat(stream=True, stream_options={"include_usage": True}),
    "chat, streamed with running usage": chat(stream=True, stream_options=FULL),
    "chat, two choices": chat(n=2, temperature=0.5),
    "chat, two choices streamed": chat(n=2, temperature=0.5, stream=True, stream_options=FULL),
    "chat, logprobs": chat(logprobs=True, top_logprobs=2),
    "chat, logprobs streamed": chat(logprobs=True, top_logprobs=2, stream=True),
    "chat, JSON schema": chat(response_format=SCHEMA, max_tokens=60, ignore_eos=False),
    "chat, JSON schema streamed": chat(response_format=SCHEMA, max_tokens=60, ignore_eos=False, stream=True),
    "chat, a tool required": chat(tool_choice="required", **TOOL),
    "chat, a tool required streamed": chat(tool_choice="required", stream=True, stream_options=FULL, **TOOL),
    "chat, a tool named": chat(tool_choice={"type": "function", "function": {"name": "weather"}}, **TOOL),
    "chat, a tool named streamed": chat(
        tool_choice={"type": "function", "function": {"name": "weather"}}, stream=True, stream_options=FULL, **TOOL
    ),
    "chat, tools offered": chat(tools=[WEATHER]),
    "chat, its own end": chat(max_tokens=40, ignore_eos=False),
    "chat, its own end streamed": chat(max_tokens=40, ignore_eos=False, stream=True),
    "chat, stop string": chat(stop=["the", "a", "e"]),
    "completion": text(),
    "completion, streamed": text(stream=True),
    "completion, streamed with running usage": text(stream=True, stream_options=FULL),
    "completion, echo and logprobs": text(echo=True, logprobs=1),
    "completion, logprobs streamed": text(logprobs=1, stream=True),
    "completion, two choices": text(n=2, temperature=0.5),
    "completion, two prompts": text(prompt=["One", "Two"]),
    "responses": responses(),
    "responses, streamed": responses(stream=True),
    "tokenize": ("/tokenize", {"prompt": "The capital of France"}),
    "tokenize, with its text": ("/tokenize", {"prompt": "The capital of France", "return_token_strs": True}),
    "tokenize, messages": ("/tokenize", {"messages": MESSAGES}),
    "detokenize": ("/detokenize", {"tokens": [504, 3575, 282]}),
    "unknown model": chat(model="gpt-9"),
    "no messages": (CHAT, {"max_tokens": 5}),
    "messages empty": chat(messages=[]),
    "messages of the wrong type": chat(messages="hello"),
    "temperature out of range": chat(temperature=-1),
    "max_tokens zero": chat(max_tokens=0),
    "max_tokens over the context": chat(max_tokens=100_000),
    "prompt over the context": chat(messages=[{"role": "user", "content": "word " * 3000}]),
    "completion over the context": text(prompt="word " * 3000),
    "responses over the context": responses(input="word " * 3000),
    "stream_options without stream": chat(stream_options={"include_usage": True}),
    "tool_choice without tools": chat(tool_choice="required"),
    "too many logprobs": chat(logprobs=True, top_logprobs=500),
    "embeddings of a generative model": ("/v1/embeddings", {"input": "hello"}),
    "rerank by a generative model": ("/v1/rerank", {"query": "a", "documents": ["b"]}),
    "detokenize nonsense": ("/detokenize", {"tokens": "x"}),
}
"""What is asked, by name; each is given the engine's own name of the model unless it has one."""

READ = ("/v1/models", "/health", "/version", "/load", "/v1/models/none", "/nothing")
