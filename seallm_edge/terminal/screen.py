"""Chat screen at a terminal: an input line, streamed replies, and /commands. Keeps no conversation itself."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..chat import BackgroundLoad, Conversation
from ..chat.notices import Notice, NotSaved, Unanswered
from ..errors import ContextOverflow, InvalidOption, SeaLLMError, worded
from ..hints import command_line_words
from ..text.unicode import visible
from ..translations import _
from .bindings import LEAVE_HINT
from .commands import LEAVE, Commands, show_end
from .guard import TerminalGuard
from .keyboard import InputLine
from .notices import notice_words
from .prefilling import Prefilling
from .printing import PROMPT, tell
from .reading_ahead import reading_ahead, silent_keyboard
from .reply_area import Notes, ReplyArea, fits_on_terminal
from .size import terminal_size
from .status import StatusLine
from .typed_ahead import TypedAhead

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer

    from .markdown import MarkdownStream, PlainStream


class Screen:
    """Chat screen of one conversation, until the user leaves. `name` is shown until the model is loaded, by default its
    own; `load` begins to load another one. `notices` are told at the start.

    `is_plain` shows replies as raw text, not as Markdown, and no status line; so do a pipe and a terminal without
    escape sequences.
    """

    def __init__(
        self,
        conversation: Conversation,
        is_plain: bool = False,
        *,
        name: str | None = None,
        notices: Sequence[Notice] = (),
        load: Callable[[str], BackgroundLoad] | None = None,
    ) -> None:
        self._conversation = conversation
        self._name = name or conversation.llm.name  # or path, as `load` takes it
        self._earlier_name: str | None = None  # of the model before /model
        self._load = load
        self._notices = notices
        self._is_plain = is_plain or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb"
        self._typed = TypedAhead()
        self._message = ""  # that is answered; Ctrl-C before the first token gives it back
        self._is_leaving = False  # at the next Ctrl-C
        self._status = StatusLine(conversation, shown_name(self._name))
        self._prefilling = Prefilling(conversation, self._load_failed, self._refresh)
        self._commands = Commands(conversation, self)
        self._input: InputLine | None = None
        self._questions: InputLine | None = None
        self._read_line: Callable[[], str | None] = self._read_from_keyboard
        conversation.on_notice = self._tell_notice

    def run(self, read_line: Callable[[], str | None] | None = None) -> None:
        """Read messages and answer them until `read_line` gives None; without it, they come from the keyboard. Raises
        KeyboardInterrupt at the prompt.
        """
        with contextlib.ExitStack() as stack:
            if read_line is None:
                stack.enter_context(TerminalGuard())
                self._input = self._input_line()
                self._questions = InputLine(status=self._prompt_status)
                if self._input.has_editing:  # keys that come while a command runs wait for the next prompt, Ctrl-D too
                    stack.enter_context(silent_keyboard())
            else:
                self._read_line = read_line
            self._greet()
            for notice in self._notices:
                self._tell_notice(notice)
            stack.callback(self._save)
            while (line := self._read_line()) is not None and self._handle(line):
                pass

    def change_model(self, name: str) -> None:
        """Continue with another model, which loads behind the prompt. Raises ModelNotFound."""
        from ..store import locate

        if self._load is None:
            raise InvalidOption("this chat has one model", "start another chat")
        locate(name)
        self._begin_load(name)
        self._earlier_name, self._name = self._name, name
        tell(_("({model} continues this conversation)").format(model=shown_name(name)))

    def _begin_load(self, name: str) -> None:
        assert self._load
        earlier = self._conversation.load
        self._conversation.change_model(self._load(name))
        self._status.name = shown_name(name)
        if earlier:  # before the other one loads: two models may need more memory than there is
            earlier.close()

    def _load_failed(self, error: BaseException) -> None:
        """Return to the model before /model; without one, end the screen with the error. Called in another thread."""
        if self._earlier_name and isinstance(error, SeaLLMError | OSError):
            self._tell_error(error)
            self._name, self._earlier_name = self._earlier_name, None
            self._begin_load(self._name)
        elif self._input:
            self._input.fail(error)

    def _refresh(self) -> None:
        if self._input:
            self._input.refresh()

    def _greet(self) -> None:
        greeting = _("{model}. /help lists the commands.").format(model=shown_name(self._name))
        if sys.stdout.isatty() or self._input is None:
            print(greeting)
        else:
            tell(greeting)
        if self._conversation.messages:
            show_end(self._conversation)

    def _save(self) -> None:
        if not self._conversation.save():
            tell(_("(not all of this chat could be saved)"))

    def _input_line(self) -> InputLine:
        return InputLine(
            self._completer(), self._input_history(), status=self._prompt_status,
            on_text=self._prefilling.typed, on_shown=self._begin_to_load,
        )  # fmt: skip

    @property
    def _prompt_status(self) -> Callable[[], str] | None:
        return None if self._is_plain else self._status.at_prompt

    def _begin_to_load(self) -> None:
        """Let the model load, now that the prompt is there: both would have to share the interpreter."""
        if load := self._conversation.load:
            load.begin()

    def _completer(self) -> Completer | None:
        from .completion import completer

        return completer(self._commands, self._conversation)

    def _input_history(self) -> Path | None:
        """File of the messages typed before; none where the conversation itself is not kept."""
        file = self._conversation.history.file
        return file.with_name("input-history") if file else None

    def _read_from_keyboard(self) -> str | None:
        """Next message: one that was typed during the last reply, or one from the input line."""
        assert self._input
        if self._typed.waiting:
            message = self._typed.waiting.popleft()
            self._input.remember(message)
            print(PROMPT + visible(message).replace("\n", "\n  "))
            return message
        if not self._input.has_editing:
            self._begin_to_load()
        self._prefilling.start()
        try:
            return self._input.read(*self._typed.take(), is_hinted=self._is_leaving)
        finally:
            self._is_leaving = False
            self._prefilling.stop()

    def _handle(self, line: str) -> bool:
        """Run a command, or answer a message: whether the chat goes on."""
        self._message, command = line, None
        try:
            command = self._commands.named(line)
            if command is not None:
                name, argument = command
                self._commands.table[name].run(argument)
                return name != LEAVE
            if line.strip():
                self._commands.send(line)
        except (SeaLLMError, OSError) as error:
            if self._load_error() is not error:
                self._tell_error(error)
                return True
            self._typed.take_back("" if command else self._message)
            if not self._earlier_name:
                raise
            self._load_failed(error)
        except KeyboardInterrupt:  # during a command, or before a reply
            self._typed.take_back("" if command else self._message)
            tell(_("(stopped)"))
        return True

    def _load_error(self) -> BaseException | None:
        return self._conversation.load.error if self._conversation.load else None

    def answer(self, deltas: Generator[str, None, None]) -> bool:
        """Show a reply as it streams: whether its turn was kept."""
        rendered, before = self._renderer(), self._conversation.stored_messages
        self._status.begin()
        try:
            with self._reply_area(rendered.resize) as write, contextlib.closing(deltas):
                try:
                    for delta in deltas:
                        self._message = ""  # it is kept from now on
                        self._status.add(delta)
                        write(rendered.feed(delta))
                finally:
                    if self._conversation.stored_messages != before:
                        write(rendered.close())
        except KeyboardInterrupt:
            self._tell_stopped(self._conversation.stored_messages != before)
        except SeaLLMError:
            if self._conversation.stored_messages != before:
                print(flush=True)
            raise
        else:
            print(flush=True)
            self._tell_end()
        return self._conversation.stored_messages != before

    def _tell_stopped(self, is_kept: bool) -> None:
        load = self._conversation.load
        self._is_leaving = load is not None and load.is_loading
        self._typed.take_back("" if is_kept else self._message)
        if is_kept:
            print(flush=True)
        tell(_("(stopped)") if is_kept else _("(stopped before the answer: your message was taken back)"))
        if self._is_leaving:
            tell(_(LEAVE_HINT))

    @contextlib.contextmanager
    def _reply_area(self, on_resize: Callable[[int], None]) -> Generator[Callable[[str], None], None, None]:
        """Context in which a reply is written with the given function, and keys are read ahead."""
        if self._input is None or not self._input.has_editing or self._is_plain or not fits_on_terminal():
            with silent_keyboard():
                yield lambda text: print(text, end="", flush=True)
            return
        with ReplyArea(self._typed, on_resize) as area:

            def tick() -> None:
                area.show_status(self._status.in_reply(len(self._typed.waiting)))

            with contextlib.redirect_stderr(Notes(area)), reading_ahead(self._typed, area.show_input, tick):
                yield area.write

    def _tell_end(self) -> None:
        reply = self._conversation.last_reply
        if reply and reply.finish_reason == "length":
            tell(_("(cut off at the longest reply or the end of the context)"))

    def _tell_notice(self, notice: Notice) -> None:
        tell(f"({notice_words(notice)})")
        if isinstance(notice, NotSaved):
            hint = notice.error.hint.worded(command_line_words)
            tell(_("  {hint}; /export writes the conversation to a file").format(hint=hint))
        elif isinstance(notice, Unanswered):
            tell(_("  /retry answers it"))

    def _renderer(self) -> MarkdownStream | PlainStream:
        from .markdown import MarkdownStream, PlainStream
        from .style import Style

        if self._is_plain:
            return PlainStream()
        return MarkdownStream(terminal_size().columns, Style.of_environment(os.environ))

    def ask(self, question: str) -> str | None:
        """Answer of the user to a question; None at the end of input."""
        tell(question)
        return self._questions.read() if self._questions else self._read_line()

    def clear(self) -> None:
        """Clear the screen, and what it can scroll back to."""
        if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            print("\x1b[2J\x1b[3J\x1b[H", end="", flush=True)

    def _tell_error(self, error: SeaLLMError | OSError) -> None:
        tell(worded(error, command_line_words))
        if isinstance(error, ContextOverflow) and self._conversation.budget.when_full == "stop":
            tell(_("  or start over with /new"))


def shown_name(name: str) -> str:
    """Name of a model as it is shown: without the folder and the ending of a path."""
    return Path(name).name.removesuffix(".gguf")
