"""`ToolCalls`: the text format of tool calls, in llguidance's notation. Knows schemas, not protocols.

A call is `<tool_call>`, a line of JSON with the tool's name and its arguments, `</tool_call>`: the format of the chat
template of Qwen2.5. Qwen2 and SeaLLMs-v3 were not trained on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import schema
from .lark import HEADER

BEGIN, END = "<tool_call>", "</tool_call>"


@dataclass(frozen=True)
class ToolCalls:
    """Replies that call tools: `parameters` has the JSON schema of each tool's arguments, by name.

    With `is_forced` a reply is nothing but calls, at least one; else calls come behind free text, or not at all. `most`
    is the largest number of calls, None for any number. With `schema` a reply without calls is JSON that satisfies it,
    and there is no free text.
    """

    parameters: Mapping[str, Any]
    is_forced: bool = False
    most: int | None = None
    schema: Mapping[str, Any] | None = None

    def to_lark(self) -> tuple[str, int]:
        """(grammar, digit limit for parts of numbers). Raises InvalidOption for a schema that is none."""
        written = [schema.to_lark(parameters) for parameters in self.parameters.values()]
        lines = [self._start(), f"call: {' | '.join(f'call{number}' for number in range(len(written)))}"]
        for number, (name, (text, _)) in enumerate(zip(self.parameters, written, strict=True)):
            lines.append(f"call{number}: {_quoted(_opening(name))} arguments{number} {_quoted('}')}")
            lines.append(f"arguments{number}: {_body(text)}")
        if self.schema is not None and not self.is_forced:
            written.append(schema.to_lark(self.schema))
            lines.append(f"reply: {_body(written[-1][0])}")
        return HEADER + "\n".join([*lines, ""]), max(digits for _, digits in written)

    def _start(self) -> str:
        one = f"call {_quoted(chr(10) + END)}"
        again = f"({_quoted(chr(10) + BEGIN + chr(10))} {one})"
        more = "" if self.most == 1 else f" {again}*" if self.most is None else f" {again}{{0,{self.most - 1}}}"
        calls = f"{_quoted(BEGIN + chr(10))} {one}{more}"
        if self.is_forced:
            return f"start: {calls}"
        if self.schema is not None:
            return f"start: reply | {calls}"
        # The lexer takes free text up to the tag as one lexeme, the shortest that ends with it.
        lines = (
            f"start: TEXT | before {_quoted(chr(10))} {one}{more}",
            f"before[lazy]: /(?s:.*){BEGIN}/",
            f"TEXT: /(?s:.*)/ & ~/(?s:.*){BEGIN}(?s:.*)/",
        )
        return "\n".join(lines)


def _opening(name: str) -> str:
    return f'{{"name": {_quoted(name)}, "arguments": '


def _body(lark: str) -> str:
    """Right side of the only rule of a grammar."""
    return lark.removeprefix(HEADER).removeprefix("start: ").strip()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
