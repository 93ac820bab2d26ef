"""Tools: definitions into the system message, calls out of a reply's text, results into a user message.

The text format is that of Qwen2.5 (see `constraint.tool_calls`). A reply's text is parsed while it streams: half a tag
is never shown as text, and arguments come as they are written.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..constraint.tool_calls import BEGIN, END, ToolCalls
from ..prompt.chatml import Message
from .generation import Generation
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
_CHOICES = ("none", "auto", "required", "any")
_NAME = re.compile(r"[\w.-]{1,128}")
# with these an object may have properties that `properties` does not name
_OPENING = {
    "additionalProperties", "unevaluatedProperties", "patternProperties", "allOf", "anyOf", "oneOf", "not", "if",
    "$ref",
}  # fmt: skip
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
        """Tool use of a choice: `none`, `auto`, `required` (or `any`), `named` with a name; None without tools.

        Raises RequestRefused for another choice, a tool that is not among them, a forced call without tools, and an
        unusual name.
        """
        for tool in tools:
            if not _NAME.fullmatch(tool.name):
                hint = "use up to 128 letters, digits, dots, dashes and underscores"
                raise RequestRefused(400, "invalid_value", f"a tool is named {tool.name!r:.80}", hint, param="tools")
        if choice == "named":
            tools = [tool for tool in tools if tool.name == name]
            if not tools:
                raise _no_choice(f"tool_choice names {name!r:.80}, which is no tool of this request")
        elif choice not in _CHOICES:
            raise _no_choice(f"tool_choice is {choice!r:.40}", "give none, auto, required, or a function")
        is_forced = choice not in ("none", "auto")
        if is_forced and not tools:
            raise _no_choice("a tool must be called and there is none")
        return None if choice == "none" or not tools else cls(tuple(tools), is_forced, is_parallel)

    def applied(self, generation: Generation, param: str) -> Generation:
        """A generation whose replies may call the tools, or have the schema that they had. Raises RequestRefused where
        they have a grammar of their own, by the field `param`.
        """
        if "grammar" in generation.form:
            raise RequestRefused(
                400, "unsupported_value", "a reply has either a grammar of its own or tools to call",
                f"leave {param} or tools out", param=param,
            )  # fmt: skip
        prompt = self.instructed(generation.prompt)
        grammar = self.grammar(generation.form.get("schema"))
        return dataclasses.replace(generation, prompt=prompt, form={"grammar": grammar})

    def grammar(self, schema: Mapping[str, Any] | None = None) -> ToolCalls:
        """Grammar of the replies; `schema` is that of replies without calls."""
        parameters = {tool.name: closed(tool.parameters) for tool in self.tools}
        return ToolCalls(parameters, self.is_forced, None if self.is_parallel else 1, schema)

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


@dataclass(frozen=True)
class ToolResult:
    """Result of a call, as a message."""

    text: str

    def as_text(self) -> str:
        """The result as the model reads it."""
        return f"<tool_response>\n{self.text}\n</tool_response>"


def with_results(messages: Iterable[Message | ToolResult]) -> list[Message]:
    """Messages in which results that follow each other are one user message."""
    found: list[Message] = []
    for is_result, group in itertools.groupby(messages, lambda one: isinstance(one, ToolResult)):
        if is_result:
            found.append(Message("user", "\n".join(one.as_text() for one in group if isinstance(one, ToolResult))))
        else:
            found += [one for one in group if isinstance(one, Message)]
    return found


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
    """Parser of a reply while it streams: its text, its calls, their arguments as they are written. Without tools, all
    is text.
    """

    def __init__(self, *, has_tools: bool) -> None:
        self._has_tools = has_tools
        self._left = ""
        self._n_calls = 0
        self._in_call = self._in_arguments = False

    @property
    def has_calls(self) -> bool:
        """Whether a call has begun."""
        return self._n_calls > 0

    def feed(self, text: str) -> Iterator[Part]:
        """Parts that are certain by now."""
        if self._has_tools:
            self._left += text
            yield from self._parts()
        elif text:
            yield text

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


def parsed(text: str, *, has_tools: bool) -> tuple[str, list[ToolCall]]:
    """(text, calls) of a whole reply."""
    parser = CallParser(has_tools=has_tools)
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


def closed(schema: Any) -> Any:
    """Schema of arguments whose objects have no other properties than those that it names, unless it says that they
    may: a small model makes some up otherwise.
    """
    if not isinstance(schema, Mapping):
        return schema
    found = dict(schema)
    if isinstance(properties := found.get("properties"), Mapping):
        found["properties"] = {name: closed(each) for name, each in properties.items()}
        if not _OPENING & found.keys() and set(found.get("required") or ()) <= properties.keys():
            found["additionalProperties"] = False
    if "items" in found:
        found["items"] = closed(found["items"])
    return found


def compact(value: Any) -> str:
    """JSON text of arguments, as a model writes it."""
    return json.dumps(value, ensure_ascii=False)


def _definition(tool: Tool) -> str:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)


def _no_choice(problem: str, hint: str = "") -> RequestRefused:
    return RequestRefused(400, "invalid_value", problem, hint, param="tool_choice")
