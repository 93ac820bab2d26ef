"""Chat screen at a terminal: an input line, streamed replies, and /commands. Keeps no conversation itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from ..chat import Conversation
from ..chat.notices import Notice, NotSaved, Unanswered
from ..errors import ContextOverflow, SeaLLMError, worded
from ..hints import command_line_words
from .commands import LEAVE, Commands, show_end, tell
from .keyboard import line_reader, silent_keyboard
from .markdown import MarkdownStream, PlainStream
from .style import Style

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer


class Screen:
    """Chat screen of one conversation, until the user leaves. `is_plain` shows replies as raw text, not as Markdown;
    so do a pipe and a terminal without escape sequences.
    """

    def __init__(self, conversation: Conversation, is_plain: bool = False) -> None:
        self._conversation = conversation
        self._is_plain = is_plain
        self._read_line: Callable[[], str | None] = lambda: None
        self._commands = Commands(conversation, self._answer, self._ask)
        conversation.on_notice = self._tell_notice

    def run(self, read_line: Callable[[], str | None] | None = None) -> None:
        """Read messages and answer them until `read_line` gives None; without it, they come from the keyboard. Raises
        KeyboardInterrupt at the prompt.
        """
        self._read_line = read_line = read_line or line_reader(self._completer(), self._input_history())
        llm = self._conversation.llm
        print(f"{llm.name}, {llm.n_ctx:,} tokens of context. /help lists the commands.")
        if self._conversation.messages:
            show_end(self._conversation)
        try:
            while (line := read_line()) is not None and self._handle(line):
                pass
        finally:
            if not self._conversation.save():
                tell("(not all of this chat could be saved)")

    def _completer(self) -> Completer | None:
        from .completion import completer

        return completer(self._commands, self._conversation)

    def _input_history(self) -> Path | None:
        """File of the messages typed before; none where the conversation itself is not kept."""
        file = self._conversation.history.file
        return file.with_name("input-history") if file else None

    def _handle(self, line: str) -> bool:
        """Run a command, or answer a message: whether the chat goes on."""
        try:
            command = self._commands.named(line)
            if command is not None:
                name, argument = command
                self._commands.table[name].run(argument)
                return name != LEAVE
            attachments = self._commands.attachments
            if line.strip() and self._answer(self._conversation.say(attachments.joined(line))):
                attachments.clear()
        except (SeaLLMError, OSError) as error:
            self._tell_error(error)
        except KeyboardInterrupt:  # during a command
            tell("(stopped)")
        return True

    def _answer(self, deltas: Generator[str, None, None]) -> bool:
        """Show a reply as it streams: whether its turn was kept."""
        rendered, before = self._renderer(), self._conversation.stored_messages
        try:
            with silent_keyboard(), contextlib.closing(deltas):
                for delta in deltas:
                    print(rendered.feed(delta), end="", flush=True)
        except KeyboardInterrupt:
            print(rendered.close(), flush=True)
            kept = self._conversation.stored_messages != before
            tell("(stopped)" if kept else "(stopped before the answer: your message was taken back)")
        except SeaLLMError:
            if self._conversation.stored_messages != before:
                print(rendered.close(), flush=True)
            raise
        else:
            print(rendered.close())
            self._tell_end()
        return self._conversation.stored_messages != before

    def _tell_end(self) -> None:
        reply = self._conversation.last_reply
        if reply and reply.finish_reason == "length":
            tell("(cut off at the longest reply or the end of the context)")

    def _tell_notice(self, notice: Notice) -> None:
        tell(f"({notice})")
        if isinstance(notice, NotSaved):
            tell(f"  {notice.error.hint.worded(command_line_words)}; /export writes the conversation to a file")
        elif isinstance(notice, Unanswered):
            tell("  /retry answers it")

    def _renderer(self) -> MarkdownStream | PlainStream:
        if self._is_plain or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
            return PlainStream()
        return MarkdownStream(shutil.get_terminal_size().columns, Style.of_environment(os.environ))

    def _ask(self, question: str) -> str:
        tell(question)
        return self._read_line() or ""

    def _tell_error(self, error: SeaLLMError | OSError) -> None:
        tell(worded(error, command_line_words))
        if isinstance(error, ContextOverflow) and self._conversation.budget.when_full == "stop":
            tell("  or start over with /new")
