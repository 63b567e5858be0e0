"""Which functions an answer calls: of a request's tools those that it demands, or that a directive says."""

from itertools import cycle, islice

import msgspec

from ias.dev.engine.directives import Behaviour
from ias.dev.engine.refusals import bad_field
from ias.dev.engine.requests import Chat

Tool = tuple[str, object]
"""A function's name and the schema of its arguments."""


class _Function(msgspec.Struct):
    name: str
    parameters: dict[str, object] | None = None


class _Offered(msgspec.Struct):
    function: _Function


_offered = msgspec.json.Decoder(list[_Offered])


def chosen(asked: Chat, told: Behaviour) -> list[Tool]:
    """The functions to call, in order; several at once when a directive says so, unless no more than one is wanted.

    Raises:
        Refused: the one that is demanded is not among the tools.
    """
    choice, number = asked.tool_choice, told.tools or int(told.tool)
    if asked.parallel_tool_calls is False:
        number = min(number, 1)
    if not asked.tools_json or choice == "none" or not (number or choice not in (None, "auto")):
        return []
    functions: dict[str, object] = {
        tool.function.name: tool.function.parameters for tool in _offered.decode(asked.tools_json)
    }
    if isinstance(choice, dict):
        functions = _named(choice, functions)
    return list(islice(cycle(functions.items()), number or 1))


def _named(choice: dict[str, object], functions: dict[str, object]) -> dict[str, object]:
    named = choice.get("function")
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(name, str) or name not in functions:
        raise bad_field(
            "tool_choice", "The tool specified in `tool_choice` does not match any of the specified `tools`"
        )
    return {name: functions[name]}
