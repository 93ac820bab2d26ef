"""Commands that show: the context, the last answer's figures, a copy of it, and an empty screen."""

from __future__ import annotations

import os
import sys

from ...chat import Conversation
from ...errors import InvalidOption
from ...reply import Reply
from ...text.languages import detect_language
from ...text.lines import one_line
from ...text.unicode import visible
from ...translations import _, language, marked, ngettext
from ..clipboard import copy, last_code_block
from ..printing import PROMPT, tell
from .entry import Entry, Face

_MAX_LINE = 40  # grapheme clusters of a message beside its figures


class Showing:
    """Commands that change nothing in the conversation."""

    def __init__(self, conversation: Conversation, face: Face) -> None:
        self._conversation = conversation
        self._face = face

    def entries(self) -> dict[str, Entry]:
        """Commands of this group."""
        return {
            "/context": Entry("", marked("show what is in the context, message by message"), self._context),
            "/stats": Entry("", marked("show tokens and speed of the last answer"), self._stats),
            "/copy": Entry(
                "code", marked("copy the last answer to the clipboard; /copy code: its last code block"), self._copy
            ),
            "/clear": Entry(
                "", marked("clear the screen; the conversation stays"), lambda argument: self._face.clear()
            ),
        }

    def _context(self, argument: str) -> None:
        report = self._conversation.context()
        for one in report.entries:
            size = _("{tokens:>7,} tokens {characters:>8,} characters").format(
                tokens=one.n_tokens, characters=one.n_characters
            )
            left = "" if one.is_in_context else "  " + _("(left the context)")
            print(f"{one.role:<10}{size}  {one_line(one.content, _MAX_LINE)}{left}")
        print(
            _("{tokens:,} of {n_ctx:,} tokens of context, {share:.0%}, chat markup included").format(
                tokens=report.n_tokens, n_ctx=report.n_ctx, share=report.n_tokens / report.n_ctx
            )
        )

    def _stats(self, argument: str) -> None:
        reply = self._conversation.last_reply
        if reply is None:
            tell(_("no answer yet"))
            return
        print(_figures(reply))

    def _copy(self, what: str) -> None:
        if what not in ("", "code"):
            raise InvalidOption(f"cannot copy {one_line(what, _MAX_LINE)!r}", "/copy, or /copy code")
        answers = [one.content for one in self._conversation.messages if one.role == "assistant"]
        if what:
            blocks = [block for answer in answers if (block := last_code_block(answer)) is not None]
            if not blocks:
                tell(_("no answer has a code block"))
                return
            answers = blocks
        if not answers:
            tell(_("no answer yet"))
            return
        tell(_copied(answers[-1]))


def _figures(reply: Reply) -> str:
    """Line with the figures of a reply, as in `/stats`."""
    usage, timings, found = reply.usage, reply.timings, detect_language(reply.text)
    read = _("{tokens:,} tokens read ({cached:,} cached) in {seconds:.1f} s").format(
        tokens=usage.prompt_tokens, cached=usage.cached_tokens, seconds=timings.prefill_seconds
    )
    if found:
        name = found.name if language() == "en" else found.native_name
        written = _("{tokens:,} tokens, {characters:,} characters of {language} written").format(
            tokens=usage.reply_tokens, characters=usage.reply_characters, language=name
        )
    else:
        written = _("{tokens:,} tokens, {characters:,} characters written").format(
            tokens=usage.reply_tokens, characters=usage.reply_characters
        )
    parts = [written]
    if timings.tokens_per_step > 1:
        parts.append(
            _("{tokens:.2f} tokens a step by drafting ({speedup:.2f} times as fast)").format(
                tokens=timings.tokens_per_step, speedup=timings.speedup
            )
        )
    parts.append(
        _("at {characters:.0f} characters/s ({tokens:.1f} tokens/s)").format(
            characters=reply.characters_per_second, tokens=reply.tokens_per_second
        )
    )
    return f"{read}; {', '.join(parts)}"


def _copied(text: str) -> str:
    """Notice of what was done with a copied text."""
    tool = copy(text, os.environ, sys.stdout)
    n = len(text)
    if tool:
        words = ngettext("({n:,} character copied by {tool})", "({n:,} characters copied by {tool})", n)
        return words.format(n=n, tool=tool)
    return ngettext(
        "({n:,} character sent to the terminal for its clipboard; not every terminal takes it)",
        "({n:,} characters sent to the terminal for its clipboard; not every terminal takes them)",
        n,
    ).format(n=n)


def show_end(conversation: Conversation) -> None:
    """Print the last turn of a resumed conversation, and the number of messages before it."""
    messages = conversation.stored_messages
    if (n := len(messages) - 2) > 0:
        tell(ngettext("({n:,} earlier message)", "({n:,} earlier messages)", n).format(n=n))
    for one in messages[-2:]:
        mark = PROMPT if one.role == "user" else ""
        cut = " " + _("(cut)") if one.state != "complete" else ""
        print(f"{mark}{visible(one.content)}{cut}")
