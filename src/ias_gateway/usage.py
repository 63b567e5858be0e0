"""What an engine reports of its usage, decoded. Not compiled: mypyc keeps no annotations that msgspec could read."""

import msgspec

from ias_gateway.scanner import Count


class Details(msgspec.Struct):
    """`usage.prompt_tokens_details`."""

    cached_tokens: Count | None = 0


class Usage(msgspec.Struct):
    """What an engine reports: tokens of the prompt, of the completion, and of the prompt those found in its cache."""

    prompt_tokens: Count = 0
    completion_tokens: Count | None = 0
    prompt_tokens_details: Details | None = None


class Choice(msgspec.Struct):
    """An event's choice, as far as it matters here."""

    index: int = 0


class Event(msgspec.Struct):
    """An event of a stream."""

    choices: list[Choice] = []
    usage: Usage | None = None


decode_usage = msgspec.json.Decoder(Usage).decode
decode_event = msgspec.json.Decoder(Event).decode
