"""Chat screen at a terminal: an input line, streamed replies, and /commands. Keeps no conversation itself."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..chat import Conversation
from ..errors import SeaLLMError, did_you_mean
from ..hints import command_line_words
from ..text.languages import detect_language
from .keyboard import line_reader, silent_keyboard

HELP = """\
/new            start over, with the same system message
/again          drop the last answer and answer again
/system TEXT    start over with another system message; without TEXT, the model's own
/stats          tokens and speed of the last answer
/help           this
/bye            leave (as Ctrl-D does)
Ctrl-C stops an answer; at the prompt it leaves. Alt-Enter begins a new line."""
LEAVE = "/bye"
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


class Screen:
    """Chat screen of one conversation, until the user leaves."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._commands: dict[str, Callable[[str], None]] = {
            "/new": lambda _: self._start_over(),
            "/again": lambda _: self._again(),
            "/system": self._set_system,
            "/stats": lambda _: self._tell_stats(),
            "/help": lambda _: print(HELP),
        }

    def run(self, read_line: Callable[[], str | None] | None = None) -> None:
        """Read messages and answer them until `read_line` gives None; without it, they come from the keyboard. Raises
        KeyboardInterrupt at the prompt.
        """
        read_line = read_line or line_reader([*self._commands, LEAVE])
        llm = self._conversation.llm
        print(f"{llm.name}, {llm.n_ctx:,} tokens of context. /help lists the commands.")
        while (line := read_line()) is not None and line.strip() != LEAVE:
            self._handle(line)

    def _handle(self, line: str) -> None:
        command, _, rest = line.strip().partition(" ")
        if not command:
            return
        if command in self._commands:
            self._commands[command](rest.strip())
        elif command.startswith("/") and command[1:].isalpha():
            known = [*self._commands, LEAVE]
            print(f"no command {command}{did_you_mean(command, known)}\n  /help lists them", file=sys.stderr)
        else:
            self._answer(line)

    def _answer(self, text: str) -> None:
        try:
            with silent_keyboard():
                for delta in self._conversation.say(text):
                    print(visible(delta), end="", flush=True)
            print()
            reply = self._conversation.last_reply
            if reply and reply.finish_reason == "length":
                print("(cut off at the longest reply or the end of the context)", file=sys.stderr)
        except KeyboardInterrupt:
            print("\n(stopped)", file=sys.stderr)
        except SeaLLMError as error:
            print(error.worded(command_line_words), file=sys.stderr)
            if self._conversation.messages:
                print("  or start over with /new", file=sys.stderr)

    def _start_over(self) -> None:
        self._conversation.clear()
        print("(a new conversation)", file=sys.stderr)

    def _again(self) -> None:
        said = self._conversation.take_back()
        if said is None:
            print("nothing to answer yet", file=sys.stderr)
        else:
            self._answer(said)

    def _set_system(self, text: str) -> None:
        self._conversation.system = text or None
        self._conversation.clear()
        which = "this" if text else "the model's own"
        print(f"(a new conversation, with {which} system message)", file=sys.stderr)

    def _tell_stats(self) -> None:
        reply = self._conversation.last_reply
        if reply is None:
            print("no answer yet", file=sys.stderr)
            return
        language = detect_language(reply.text)
        print(
            f"{reply.usage.prompt_tokens:,} tokens read ({reply.usage.cached_tokens:,} cached) in "
            f"{reply.timings.prefill_seconds:.1f} s; {reply.usage.reply_tokens:,} tokens, "
            f"{reply.usage.reply_characters:,} characters{f' of {language.name}' if language else ''} "
            f"written, {reply.timings.speedup_in_words}at "
            f"{reply.characters_per_second:.0f} characters/s ({reply.tokens_per_second:.1f} tokens/s)"
        )


def visible(text: str) -> str:
    """Text with control characters as pictures, so that generated text cannot control the terminal."""
    return text.translate(_PICTURES)
