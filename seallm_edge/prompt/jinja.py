"""`ChatTemplate`: prompts from messages by a model file's own Jinja template. Knows no tokenizer."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import InvalidOption
from .chatml import END, START, Message, PromptSegment
from .markup import (
    MarkedLiterals,
    Markup,
    ShieldedContents,
    around_reply,
    around_words,
    spelling,
    without_reply_marks,
    without_surrogates,
)

if TYPE_CHECKING:
    from jinja2 import Template

    from .sandbox import TemplateSandbox

MAX_TEMPLATE = 256 * 1024  # characters; the longest known template has a tenth of it
_MAX_OUTPUT = 16_000_000  # characters
_MAX_WORDS = 300
_PROBE = "zqxj"
_PROBES = (("system", "user", "assistant", "user"), ("user", "assistant", "user"), ("user",))


class TemplateError(Exception):
    """Chat template that cannot be compiled, or renders no message; the problem in words."""


class ChatTemplate:
    """Compiled chat template. Any thread may call it.

    `control_tokens` are the spellings of the vocabulary's control tokens; `variables`, such as `bos_token`, are
    available to the template besides the messages. Raises TemplateError.
    """

    adds_bos = False  # the template writes the BOS token, as transformers expects

    def __init__(self, source: str, control_tokens: Sequence[str], variables: Mapping[str, str]) -> None:
        if len(source) > MAX_TEMPLATE:
            raise TemplateError(f"it is longer than {MAX_TEMPLATE:,} characters")
        written = "\n".join((source, *variables.values()))
        self._variables = variables
        self._lock = threading.Lock()
        self._use(source, MarkedLiterals([name for name in control_tokens if name in written]))
        if spelling(control_tokens).search(self._probe()):  # unmarked: the template joins control tokens from parts
            self._use(source, ShieldedContents(control_tokens))

    def segments(self, messages: Sequence[Message]) -> list[PromptSegment]:
        """Prompt for the next assistant message. Raises InvalidOption for messages that the template refuses."""
        with self._lock:
            segments = self._markup.split(self._with_reply_marks(messages))
        return segments + _missing_header(segments)

    def _use(self, source: str, markup: Markup) -> None:
        self._markup = markup
        self._sandbox, self._template = _compiled(source, markup.literal)

    def _with_reply_marks(self, messages: Sequence[Message]) -> str:
        """Rendered messages, with marks around earlier replies if the marks do not change the other text."""
        plain = self._render(messages)
        if any(message.role == "assistant" for message in messages):
            for around in (around_reply, around_words):
                marked = self._render(messages, around)
                if without_reply_marks(marked) == plain:
                    return marked
        return plain

    def _render(self, messages: Sequence[Message], around: Callable[[str], str] = str) -> str:
        from .sandbox import TemplateRefusal

        try:
            return self._output(messages, around)
        except TemplateRefusal as refusal:
            problem = f"the model's chat template refuses these messages: {_readable(refusal)}"
            raise InvalidOption(problem, "give messages in the order and with the roles that it takes") from refusal
        except Exception as error:
            problem = f"the model's chat template cannot render these messages: {_readable(error)}"
            raise InvalidOption(problem, "give user and assistant messages in turns") from error

    def _output(self, messages: Sequence[Message], around: Callable[[str], str]) -> str:
        self._sandbox.start(len(messages))
        parts, left = [], _MAX_OUTPUT
        for part in self._template.generate(
            messages=[self._plain(message, around) for message in messages],
            tools=None,
            documents=None,
            add_generation_prompt=True,
            **{name: self._markup.literal(text) for name, text in self._variables.items()},
        ):
            left -= len(part)
            if left < 0:
                raise TemplateError(f"it writes more than {_MAX_OUTPUT:,} characters")
            parts.append(part)
        return "".join(parts)

    def _plain(self, message: Message, around: Callable[[str], str]) -> dict[str, str]:
        content = self._markup.content(message.content)
        return {"role": message.role, "content": around(content) if message.role == "assistant" else content}

    def _probe(self) -> str:
        """Render a short conversation. Raises TemplateError if the template renders none."""
        from .work_budget import TemplateLimit

        problem = ""
        for roles in _PROBES:
            try:
                rendered = self._output([Message(role, _PROBE) for role in roles], str)
            except TemplateLimit as error:
                raise TemplateError(str(error)) from error
            except Exception as error:  # noqa: BLE001  a template may fail in any way
                problem = problem or _readable(error)
                continue
            if _PROBE in rendered:
                return rendered
            problem = "it leaves messages out"
        raise TemplateError(problem)


@functools.lru_cache(maxsize=8)
def chat_template(
    source: str, control_tokens: tuple[str, ...], variables: tuple[tuple[str, str], ...] = ()
) -> ChatTemplate:
    """Chat template of this source, compiled once; see `ChatTemplate`. Raises TemplateError."""
    return ChatTemplate(source, control_tokens, dict(variables))


def _compiled(source: str, literal: Callable[[str], str]) -> tuple[TemplateSandbox, Template]:
    from .sandbox import TemplateSandbox
    from .template_tree import guard, mark_literals

    sandbox = TemplateSandbox()
    try:
        tree = sandbox.parse(source)
        mark_literals(tree, literal)
        guard(tree)
        return sandbox, sandbox.from_string(tree)
    except Exception as error:
        raise TemplateError(_readable(error)) from error


def _missing_header(segments: Sequence[PromptSegment]) -> list[PromptSegment]:
    """Header of the next reply, if a ChatML template closes the last message and opens none."""
    controls = [segment.text for segment in segments if segment.is_control and segment.text in (START, END)]
    if START not in controls or controls[-1] != END:
        return []
    return [PromptSegment(START, is_control=True), PromptSegment("assistant\n")]


def _readable(error: Exception) -> str:
    """Error message without control characters, at most 300 characters: it may be a model file's text."""
    words = without_surrogates(str(error)) or type(error).__name__
    return "".join(c if c.isprintable() else " " for c in words[:_MAX_WORDS]).strip()
