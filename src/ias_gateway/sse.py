"""The event stream without I/O: takes running usage out of what the engine sends, and remembers it.

vLLM puts `"usage":{…}` right behind `"choices":[…]`, unescaped, so that it can never be part of a string. It is removed
on whole reads with one compiled pattern; JSON is decoded only where the pattern does not fit.
"""

import re
from typing import Final

import msgspec

from ias_gateway.choices import Choices, tokens_of
from ias_gateway.scanner import UNREADABLE, Tokens
from ias_gateway.usage import Details, Event, Usage, decode_event, decode_usage

_decode_any = msgspec.json.Decoder(dict[str, object]).decode

_USAGE = rb'"usage":\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}'
_MARK: Final = b'"usage":{'
_BEHIND_CHOICES: Final = b"]," + _MARK
_OPENING: Final = ord("[")
_CLOSING: Final = ord("]")
_COMMA: Final = ord(",")
_LEAST: Final = 2
_ENDS: Final = b"}}\n\n"
_REPORT: Final = re.compile(_USAGE)
_RUNNING: Final = re.compile(rb"\]," + _USAGE)
_ALONE = rb'"choices":\[\],' + _USAGE + rb"[^\r\n]*\}\r?\n\r?\n"
_BEGINS: Final = re.compile(rb"data: ?\{[^\r\n]*")
_REPORTS_ALONE: Final = re.compile(_ALONE)
_FINAL: Final = re.compile(_BEGINS.pattern + _ALONE)
_DONE: Final = re.compile(rb"data: ?\[DONE\]\r?\n\r?\n")
_ERROR: Final = re.compile(rb'data: ?(\{"error":[^\r\n]*\})\r?\n\r?\n')
_EVENT: Final = re.compile(rb"data: ?(\{[^\r\n]*\})\r?\n\r?\n")

_REPORTS: Final = 2
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""An event that is longer than this is refused: nothing an engine sends is."""


class EventTooLong(Exception):
    """The engine sent an event without end."""


class UsageScanner:
    """Feed it the stream as it passes; read `tokens` at any time.

    Args:
        include_usage: the client asked for usage at the end, so the final event passes.
        continuous: the client asked for running usage too, so nothing is removed.
        choices: how many answers there are; vLLM's running usage is of one choice each, only the final one of all.
        prompts: how many prompts they answer, each as many times; running usage is of the choice's prompt alone.
    """

    __slots__ = (
        *("_before", "_choices", "_include", "_keep", "_last", "_rest", "_tokens"),
        *("done", "error", "events"),
    )

    def __init__(self, *, include_usage: bool, continuous: bool, choices: int = 1, prompts: int = 1) -> None:
        self.done = False
        """Whether `[DONE]` has passed."""
        self.error: bytes | None = None
        """The error that the engine put into its stream, as JSON; nothing passes after it."""
        self.events = 0
        self._include = include_usage
        self._keep = include_usage and continuous
        self._rest = b""
        self._last: bytes | None = None
        self._before: bytes | None = None
        self._choices = Choices(choices, prompts) if choices > 1 else None
        self._tokens: Tokens | None = None

    def feed(self, data: bytes) -> bytes:
        """What of the stream may go on to the client now: whole events, without usage that was not asked for.

        Raises:
            EventTooLong: an event passes `MAX_EVENT_BYTES`.
        """
        whole = data if not self._rest and data.endswith(b"\n\n") else self._whole(data)
        if not whole or self.error is not None:
            return b""
        # Looked for, not asked with `in`: that would take bytes for a number first, and throw an error away.
        mark = whole.find(_MARK)
        if mark < 0:
            # A string holds no bare line break, so that text which looks like an event is not counted.
            self.events += whole.count(b"\ndata:") + whole.startswith(b"data:")
        else:
            if self._choices is None:
                self._before, self._last = self._last, whole
            else:
                self._add_up(whole, self._choices)
            if not self._keep:
                whole = self._strip(whole, mark)
        if whole.find(b'{"error":') >= 0:
            whole = self._cut_at_error(whole)
        end = whole.rfind(b"[DONE]")
        if end >= 0 and _DONE.search(whole, max(0, whole.rfind(b"data:", 0, end))) is not None:
            self.done = True
        return whole

    @property
    def tokens(self) -> Tokens | None:
        """Prompt, completion and cached tokens reported so far (the greatest seen), None before the first report."""
        if self._last is not None:
            # The last two reports, wherever the reads were cut: one of zero at the end undoes nothing.
            for whole in (self._before, self._last):
                for usage in _reported(whole) if whole is not None else ():
                    self._note(usage)
            self._before = self._last = None
        return self._tokens

    def _add_up(self, whole: bytes, choices: Choices) -> None:
        for event in _events(whole):
            if event.usage is None:
                continue
            prompt, completion, cached = tokens_of(event.usage)
            for choice in event.choices:
                choices.note(choice.index, prompt, completion)
            if event.choices:
                prompt, completion = choices.total
            self._note(Usage(prompt, completion, Details(cached)))

    def _note(self, usage: Usage) -> None:
        before = self._tokens or (0, 0, 0)
        prompt, completion, cached = tokens_of(usage)
        self._tokens = (max(before[0], prompt), max(before[1], completion), max(before[2], cached))

    def _whole(self, data: bytes) -> bytes:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        end = _boundary(data)
        self._rest = data[end:]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLong
        return data[:end]

    def _strip(self, whole: bytes, mark: int) -> bytes:
        """Without usage that was not asked for, which is first at the mark."""
        # A single event whose end is its usage, and which has choices: nearly every read of a slow stream.
        if whole.endswith(_ENDS) and whole.find(b"}", mark) == len(whole) - len(_ENDS) and _behind_choices(whole, mark):
            return whole[: mark - 1] + b"}\n\n"
        begin, end = _final(whole)
        if end == 0:
            return self._strip_running(whole)
        return self._strip_running(whole[:begin]) + whole[begin if self._include else end :]

    def _strip_running(self, whole: bytes) -> bytes:
        """Without the running usage of each event. Nearly always it is flat, and the end of its event."""
        first, *others = whole.split(_BEHIND_CHOICES)
        pieces = [other.partition(b"}") for other in others]
        usages = b"".join([usage for usage, _, _ in pieces])
        # Nested, or the end of an event where it should have been closed.
        odd = usages.find(b"{") >= 0 or usages.find(b"\n") >= 0
        stripped = _RUNNING.sub(b"]", whole) if odd else b"]".join((first, *[rest for _, _, rest in pieces]))
        return stripped if stripped.find(_MARK) < 0 else self._strip_slowly(stripped)

    def _strip_slowly(self, whole: bytes) -> bytes:
        """Event by event, where usage stands in a place that the pattern does not know."""
        return _EVENT.sub(self._strip_event, whole)

    def _strip_event(self, found: re.Match[bytes]) -> bytes:
        if _MARK not in found[1]:
            return found[0]
        try:
            event = _decode_any(found[1])
        except UNREADABLE:
            return found[0]
        if event.pop("usage", None) is None:
            return found[0]
        if not event.get("choices"):
            return found[0] if self._include else b""
        return b"data: " + msgspec.json.encode(event) + b"\n\n"

    def _cut_at_error(self, whole: bytes) -> bytes:
        found = _ERROR.search(whole)
        if found is None:
            return whole
        self.error = found[1]
        return whole[: found.start()]


def _behind_choices(whole: bytes, mark: int) -> bool:
    """Whether the usage at this mark stands right behind a list of choices that holds any."""
    return mark > _LEAST and whole[mark - 1] == _COMMA and whole[mark - 2] == _CLOSING and whole[mark - 3] != _OPENING


def _final(whole: bytes) -> tuple[int, int]:
    """Where the event without choices that reports usage begins and ends; the end is 0 where there is none.

    It is looked for where it must be, and matched from there on: a search is far slower, and so are steps back.
    """
    at = whole.rfind(b'"choices":[],')
    if at < 0:
        return 0, 0
    begin = max(0, whole.rfind(b"data:", 0, at))
    ends = _REPORTS_ALONE.match(whole, at)
    if ends is not None and _BEGINS.fullmatch(whole, begin, at) is not None:
        return begin, ends.end()
    found = _FINAL.match(whole, begin) or _FINAL.search(whole)
    return found.span() if found is not None else (0, 0)


def _boundary(data: bytes) -> int:
    """Where the last whole event ends; 0 where there is none."""
    bare, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
    return max(bare + 2 if bare >= 0 else 0, crlf + 4 if crlf >= 0 else 0)


def _reported(whole: bytes) -> list[Usage]:
    """The last two reports in these events, in any order."""
    try:
        found = _at_marks(whole)
    except UNREADABLE:
        return []
    return found or [event.usage for event in _events(whole) if event.usage]


def _events(whole: bytes) -> list[Event]:
    """These events, decoded; none where one of them cannot be."""
    try:
        return [decode_event(event) for event in _EVENT.findall(whole)]
    except UNREADABLE:
        return []


def _at_marks(whole: bytes) -> list[Usage]:
    """Those that the pattern finds; none where the last one is of another shape."""
    usages: list[Usage] = []
    end = len(whole)
    while len(usages) < _REPORTS and (end := whole.rfind(_MARK, 0, end)) >= 0:
        found = _REPORT.match(whole, end)
        if found is None:
            break
        usages.append(decode_usage(found[0][len(_MARK) - 1 :]))
    return usages
