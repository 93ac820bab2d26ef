"""Tools: definitions into the system message, calls out of a reply's text, results into a user message.

The text format is that of Qwen2.5 (see `constraint.tool_calls`). A reply's text is parsed while it streams: half a tag
is never shown as text, and arguments come as they are written.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..constraint.tool_calls import BEGIN, END, ToolCalls
from ..prompt.chatml import Message
from .problems import RequestRefused

_INSTRUCTIONS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
_ARGUMENTS = ', "arguments": '
_NAME = re.compile(r"[\w.-]{1,128}")
NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Tool:
    """Function that a reply may call: `parameters` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: NO_ARGUMENTS, hash=False)


@dataclass(frozen=True)
class ToolUse:
    """Tools of a request. `is_forced`: the reply must call one; `is_parallel`: it may make several calls."""

    tools: tuple[Tool, ...]
    is_forced: bool = False
    is_parallel: bool = True

    @classmethod
    def chosen(cls, tools: Sequence[Tool], choice: str, name: str = "", *, is_parallel: bool = True) -> ToolUse | None:
        """Tool use of a choice: `none`, `auto`, `required`, or `named` with a name; None without tools.

        Raises RequestRefused for a tool that is not among them, a forced call without tools, and an unusual name.
        """
        for tool in tools:
            if not _NAME.fullmatch(tool.name):
                raise RequestRefused(
                    400, "invalid_value", f"a tool is named {tool.name!r:.80}",
                    "use up to 128 letters, digits, dots, dashes and underscores", param="tools",
                )  # fmt: skip
        if choice == "named":
            found = [tool for tool in tools if tool.name == name]
            if not found:
                raise RequestRefused(
                    400, "invalid_value", f"tool_choice names {name!r:.80}, which is no tool of this request",
                    param="tool_choice",
                )  # fmt: skip
            return cls(tuple(found), is_forced=True, is_parallel=is_parallel)
        if choice == "required" and not tools:
            raise RequestRefused(400, "invalid_value", "a tool must be called and there is none", param="tool_choice")
        if choice == "none" or not tools:
            return None
        return cls(tuple(tools), is_forced=choice == "required", is_parallel=is_parallel)

    def grammar(self) -> ToolCalls:
        """Grammar of the replies."""
        parameters = {tool.name: tool.parameters for tool in self.tools}
        return ToolCalls(parameters, self.is_forced, None if self.is_parallel else 1)

    def instructed(self, messages: Sequence[Message]) -> list[Message]:
        """Messages with the definitions in the system message."""
        text = _INSTRUCTIONS.format(tools="\n".join(map(_definition, self.tools)))
        if messages and messages[0].role == "system":
            return [Message("system", f"{messages[0].content}\n\n{text}"), *messages[1:]]
        return [Message("system", text), *messages]


@dataclass(frozen=True)
class ToolCall:
    """Call of a tool: `arguments` is the text of a JSON object."""

    name: str
    arguments: str
    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:24]}")

    def as_text(self) -> str:
        """The call as a model writes it."""
        name = json.dumps(self.name, ensure_ascii=False)
        return f'{BEGIN}\n{{"name": {name}{_ARGUMENTS}{self.arguments or "{}"}}}\n{END}'


def call_message(text: str, calls: Iterable[ToolCall]) -> Message:
    """Assistant's message with calls behind its text."""
    return Message("assistant", "\n".join([*([text] if text else []), *(call.as_text() for call in calls)]))


def result_text(result: str) -> str:
    """Result of a call, for a user message."""
    return f"<tool_response>\n{result}\n</tool_response>"


@dataclass(frozen=True)
class CallBegins:
    """Call `number` of a reply begins."""

    number: int
    call: ToolCall


@dataclass(frozen=True)
class ArgumentsDelta:
    """Text of the arguments of call `number` since the last delta."""

    number: int
    text: str


Part = str | CallBegins | ArgumentsDelta


class CallParser:
    """Parser of a reply of `ToolCalls`, while it streams: its text, its calls, their arguments as they are written."""

    def __init__(self) -> None:
        self._left = ""
        self._n_calls = 0
        self._in_call = self._in_arguments = False

    @property
    def has_calls(self) -> bool:
        """Whether a call has begun."""
        return self._n_calls > 0

    def feed(self, text: str) -> Iterator[Part]:
        """Parts that are certain by now."""
        self._left += text
        yield from self._parts()

    def finish(self) -> Iterator[Part]:
        """What is left at the end of the reply."""
        left, self._left = self._left, ""
        if left and self._in_arguments:
            yield ArgumentsDelta(self._n_calls - 1, left)
        elif left and not self._n_calls and not self._in_call:
            yield left

    def _parts(self) -> Iterator[Part]:
        while True:
            if not self._in_call:
                text, tag, rest = self._left.partition(BEGIN)
                if not tag:
                    n_held = _overlap(self._left, BEGIN)
                    shown, self._left = self._left[: len(self._left) - n_held], self._left[len(self._left) - n_held :]
                    if shown and not self._n_calls:  # between calls there are line feeds only
                        yield shown
                    return
                if text and not self._n_calls:
                    yield text
                self._left, self._in_call = rest, True
            elif not self._in_arguments:
                head, found, rest = self._left.partition(_ARGUMENTS)
                if not found:
                    return
                name = str(json.loads(head.strip().removeprefix('{"name": ')))
                yield CallBegins(self._n_calls, ToolCall(name, ""))
                self._n_calls += 1
                self._left, self._in_arguments = rest, True
            else:
                closing = "}\n" + END
                text, found, rest = self._left.partition(closing)
                n_held = 0 if found else _overlap(text, closing)
                if shown := text[: len(text) - n_held]:
                    yield ArgumentsDelta(self._n_calls - 1, shown)
                if not found:
                    self._left = text[len(text) - n_held :]
                    return
                self._left, self._in_call, self._in_arguments = rest, False, False


def parsed(text: str) -> tuple[str, list[ToolCall]]:
    """(text, calls) of a whole reply of `ToolCalls`."""
    parser = CallParser()
    words, begun, arguments = [], [], dict[int, str]()
    for part in (*parser.feed(text), *parser.finish()):
        if isinstance(part, str):
            words.append(part)
        elif isinstance(part, CallBegins):
            begun.append(part.call)
        else:
            arguments[part.number] = arguments.get(part.number, "") + part.text
    calls = [ToolCall(call.name, arguments.get(number, ""), call.id) for number, call in enumerate(begun)]
    return "".join(words).rstrip("\n") if calls else "".join(words), calls


def compact(value: Any) -> str:
    """JSON text of arguments, as a model writes it."""
    return json.dumps(value, ensure_ascii=False)


def _definition(tool: Tool) -> str:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)
