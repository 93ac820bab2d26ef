"""Commands of the chat screen: `/name argument`, each with its help. Knows the conversation, not how text is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import NamedTuple

from ..chat import Conversation
from ..chat.attachments import Attachment, Attachments
from ..chat.exporting import EXPORTS
from ..chat.personas import find_persona, persona_names
from ..chat.records import ConversationSummary
from ..errors import InvalidOption, UncertainEncoding, did_you_mean, worded
from ..files.atomic import write_text
from ..hints import command_line_words
from ..paths import typed_path
from ..text.languages import detect_language
from ..text.lines import local_minute, one_line
from ..text.unicode import visible

LEAVE = "/bye"
_N_LISTED = 10
_MAX_LINE = 60  # characters of a title or a message in a list
_OTHER_NAMES = {"/again": "/retry", "/exit": LEAVE, "/quit": LEAVE}


class Entry(NamedTuple):
    """Command of the chat with the word for its argument, "" for none, and its help."""

    argument: str
    help: str
    run: Callable[[str], None]


class Commands:
    """Commands over one conversation. `answer` shows a reply as it streams, and tells whether its turn was kept; `ask`
    puts a question to the user. Results are printed on stdout, and what was done on stderr. `attachments` wait for the
    next message.
    """

    def __init__(
        self,
        conversation: Conversation,
        answer: Callable[[Generator[str, None, None]], bool],
        ask: Callable[[str], str],
    ) -> None:
        self._conversation = conversation
        self._answer = answer
        self._ask = ask
        self.attachments = Attachments(conversation)
        self._listed: list[ConversationSummary] = []
        self.table: dict[str, Entry] = {
            "/new": Entry("", "start another conversation, with the same system message", self._new),
            "/sessions": Entry("", f"list the {_N_LISTED} newest conversations", self._sessions),
            "/resume": Entry("NAME", "continue a conversation: its number in the list, title or id", self._resume),
            "/rename": Entry("TITLE", "give this conversation a title", self._rename),
            "/search": Entry("WORDS", "search the messages of all conversations", self._search),
            "/system": Entry(
                "TEXT", "start a conversation with a system message; without TEXT, the model's", self._system
            ),
            "/persona": Entry("NAME", "start a conversation with a persona; without NAME, list them", self._persona),
            "/file": Entry("PATH", "send a document with your next message; without PATH, send none", self._file),
            "/edit": Entry("TEXT", "replace your last message, and answer it", self._edit),
            "/retry": Entry("", "answer your last message again", self._retry),
            "/undo": Entry("", "go back to before your last message", self._undo),
            "/branch": Entry("NUMBER", "list the branches of this conversation, or change to one", self._branch),
            "/export": Entry("FILE", "write this conversation to a file: .md, .txt or .json", self._export),
            "/context": Entry("", "show what is in the context, message by message", self._context),
            "/stats": Entry("", "show tokens and speed of the last answer", self._stats),
            "/help": Entry("", "show this", lambda _: print(self.help())),
            LEAVE: Entry("", "leave (as Ctrl-D does)", lambda _: None),
        }

    def named(self, line: str) -> tuple[str, str] | None:
        """(command, argument) of a line, None for a message. Raises InvalidOption for an unknown command."""
        name, _, argument = line.strip().partition(" ")
        name = _OTHER_NAMES.get(name, name)
        if name in self.table:
            return name, argument.strip()
        if name.startswith("/") and name[1:].isalpha():
            raise InvalidOption(f"no command {name}{did_you_mean(name, self.table)}", "/help lists them")
        return None

    def help(self) -> str:
        """Table of the commands."""
        lines = [f"{f'{name} {one.argument}':<17}{one.help}" for name, one in self.table.items()]
        return "\n".join(
            [*lines, "Ctrl-C stops an answer or clears the line; Ctrl-D leaves. Alt-Enter begins a new line."]
        )

    def _new(self, _: str) -> None:
        self._conversation.clear()
        tell("(a new conversation)")

    def _sessions(self, _: str) -> None:
        self._listed = self._conversation.history.conversations(_N_LISTED)
        for number, one in enumerate(self._listed, 1):
            here = "*" if one.id == self._conversation.id else " "
            print(f"{number:>2}{here} {one.id}  {local_minute(one.updated)}  {one_line(one.title, _MAX_LINE)}")
        if not self._listed:
            tell("no conversation is stored yet")

    def _resume(self, name: str) -> None:
        if (place := number_in(name, len(self._listed))) is not None:
            id_ = self._listed[place].id
        else:
            id_ = self._conversation.history.find(name).id
        self._conversation.open(id_)
        show_end(self._conversation)

    def _rename(self, title: str) -> None:
        if not title:
            raise InvalidOption("there is no title", "/rename TITLE")
        self._conversation.rename(title)
        tell(f"(this conversation is now {title!r})")

    def _search(self, words: str) -> None:
        found = self._conversation.history.search(words, _N_LISTED)
        for one in found:
            print(f"{one.conversation}  {local_minute(one.created)}  {one.role}: {one_line(one.snippet, 200)}")
        if not found:
            tell(f"no message holds {words!r}")

    def _system(self, text: str) -> None:
        self._conversation.system = text or None
        self._conversation.persona = None
        self._conversation.clear()
        which = "this" if text else "the model's own"
        tell(f"(a new conversation, with {which} system message)")

    def _persona(self, name: str) -> None:
        if not name:
            for each in persona_names():
                print(f"{each:<12}{one_line(_system_of(each), _MAX_LINE)}")
            return
        persona = find_persona(name)
        self._conversation.system, self._conversation.persona = persona.system, persona.name
        self._conversation.clear()
        tell(f"(a new conversation with {name}: {one_line(persona.system, _MAX_LINE)})")

    def _file(self, argument: str) -> None:
        if not argument:
            self.attachments.clear()
            tell("(no document goes with your next message)")
            return
        name, _, encoding = argument.partition(" --encoding ")
        path = typed_path(name.strip("\"'"))
        try:
            attachment = self.attachments.read(path, encoding.strip() or None)
        except UncertainEncoding as error:
            tell(f"{path.name} may be in one of these encodings:")
            for candidate, line in error.candidates:
                print(f"{candidate:<14}{one_line(line, _MAX_LINE)}")
            tell(f"  choose one: /file {name} --encoding NAME")
            return
        for notice in attachment.document.notices:
            tell(f"({notice.words})")
        if attachment.is_whole or self._takes_part(attachment):
            self.attachments.add(attachment)
            left = f"{attachment.n_left:,} tokens of the context remain"
            if attachment.n_left < 0:
                left = "the oldest turns will leave the context for it"
            tell(f"({path.name}: {attachment.n_tokens:,} tokens, with your next message; {left})")

    def _takes_part(self, attachment: Attachment) -> bool:
        fitting = f"{attachment.n_characters:,} of {attachment.n_all_characters:,} characters fit in the context"
        tell(f"{attachment.document.name} is too long: {fitting} of {self._conversation.llm.n_ctx:,} tokens")
        return self._ask("send its beginning? (y/n) ").strip().lower() in ("y", "yes")

    def _edit(self, text: str) -> None:
        if not text:
            raise InvalidOption("there is no text in place of your last message", "/edit TEXT")
        if self._answer(self._conversation.edit(self.attachments.joined(text))):
            self.attachments.clear()

    def _retry(self, _: str) -> None:
        self._answer(self._conversation.retry())

    def _undo(self, _: str) -> None:
        text = self._conversation.undo()
        tell("nothing to take back" if text is None else f"(taken back: {one_line(text, _MAX_LINE)})")

    def _branch(self, number: str) -> None:
        branches = self._conversation.branches()
        if number:
            place = number_in(number, len(branches))
            if place is None:
                hint = f"there are {len(branches)}: /branch lists them"
                raise InvalidOption(f"no branch has the number {one_line(number, _MAX_LINE)}", hint)
            self._conversation.go_to(branches[place].id)
            show_end(self._conversation)
            return
        here = {one.id for one in self._conversation.stored_messages}
        for place, one in enumerate(branches, 1):
            print(f"{place:>2}{'*' if one.id in here else ' '} {one_line(one.content, _MAX_LINE)}")
        if not branches:
            tell("no answer yet")

    def _export(self, file: str) -> None:
        path = typed_path(file)
        form = path.suffix.removeprefix(".")
        if form not in EXPORTS or "\0" in file:
            raise InvalidOption(f"no format for {file!r}", "give a name that ends in .md, .txt or .json")
        if not self._conversation.id:
            raise InvalidOption("there is no message to export yet", "say something")
        if path.exists():
            raise InvalidOption(f"{path} exists already", "give another name")
        write_text(path, EXPORTS[form](self._conversation.tree()))
        tell(f"(written to {path})")

    def _context(self, _: str) -> None:
        report = self._conversation.context()
        for one in report.entries:
            size = f"{one.n_tokens:>7,} tokens {one.n_characters:>8,} characters"
            left = "" if one.is_in_context else "  (left the context)"
            print(f"{one.role:<10}{size}  {one_line(one.content, 40)}{left}")
        share = report.n_tokens / report.n_ctx
        print(f"{report.n_tokens:,} of {report.n_ctx:,} tokens of context, {share:.0%}, chat markup included")

    def _stats(self, _: str) -> None:
        reply = self._conversation.last_reply
        if reply is None:
            tell("no answer yet")
            return
        language = detect_language(reply.text)
        print(
            f"{reply.usage.prompt_tokens:,} tokens read ({reply.usage.cached_tokens:,} cached) in "
            f"{reply.timings.prefill_seconds:.1f} s; {reply.usage.reply_tokens:,} tokens, "
            f"{reply.usage.reply_characters:,} characters{f' of {language.name}' if language else ''} "
            f"written, {reply.timings.speedup_in_words}at "
            f"{reply.characters_per_second:.0f} characters/s ({reply.tokens_per_second:.1f} tokens/s)"
        )


def _system_of(persona: str) -> str:
    """System message of a persona, or what is wrong with its file."""
    try:
        return find_persona(persona).system
    except (InvalidOption, OSError) as error:
        return f"({worded(error, command_line_words).splitlines()[0]})"


def number_in(text: str, n: int) -> int | None:
    """Index for a number from 1 to `n` that a user typed; None for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return int(text) - 1 if is_number and 1 <= int(text) <= n else None


def show_end(conversation: Conversation) -> None:
    """Print the last turn of a resumed conversation, and the number of messages before it."""
    messages = conversation.stored_messages
    if len(messages) > 2:
        tell(f"({len(messages) - 2} earlier messages)")
    for one in messages[-2:]:
        mark = "› " if one.role == "user" else ""
        print(f"{mark}{visible(one.content)}{' (cut)' if one.state != 'complete' else ''}")


def tell(text: str) -> None:
    """Print a line beside the conversation, on stderr if that is open."""
    if sys.stderr is not None:
        print(text, file=sys.stderr)
