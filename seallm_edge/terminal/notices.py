"""Notices of conversations and documents in the user's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..chat.notices import Notice, NotSaved, TurnsDropped, Unanswered
from ..text.lines import one_line
from ..translations import _, ngettext

_MAX_TEXT = 60  # grapheme clusters of a message in a notice

if TYPE_CHECKING:
    from ..documents import DocumentNotice


def notice_words(notice: Notice) -> str:
    """Words of a conversation's notice."""
    if isinstance(notice, TurnsDropped):
        n = notice.n_turns
        words = ngettext("the oldest turn left the context", "the {n} oldest turns left the context", n)
        return words.format(n=n)
    if isinstance(notice, NotSaved):
        return _("this conversation is not saved for now: {reason}").format(reason=notice.error.message)
    if isinstance(notice, Unanswered):
        return _("the last message has no answer yet: {text}").format(text=one_line(notice.text, _MAX_TEXT))
    return str(notice)


def document_notice_words(notice: DocumentNotice) -> str:
    """Words of a document's notice."""
    words = _document_words(notice.topic, notice.facts.get("n", 0))
    return words.format(**notice.facts) if words else notice.words


def document_topics() -> list[str]:
    """Topics of documents' notices that have translations."""
    return ["unknown characters", "replacement characters", "zawgyi", "pages without text", "damaged pages"]


def _document_words(topic: str, n: Any) -> str:
    if topic == "unknown characters":
        return ngettext(
            "{n:,} character has no known letter and was left out",
            "{n:,} characters have no known letter and were left out",
            n,
        )
    if topic == "replacement characters":
        return ngettext(
            "{n:,} character is U+FFFD: it was lost before this reading",
            "{n:,} characters are U+FFFD: they were lost before this reading",
            n,
        )
    if topic == "zawgyi":
        return ngettext(
            "{n:,} line of Burmese was converted from Zawgyi to Unicode",
            "{n:,} lines of Burmese were converted from Zawgyi to Unicode",
            n,
        )
    if topic == "pages without text":
        return ngettext(
            "{n:,} of {n_pages:,} pages has no text (scans or pictures): {pages}",
            "{n:,} of {n_pages:,} pages have no text (scans or pictures): {pages}",
            n,
        )
    if topic == "damaged pages":
        return ngettext(
            "{n:,} of {n_pages:,} pages cannot be read: {pages}",
            "{n:,} of {n_pages:,} pages cannot be read: {pages}",
            n,
        )
    return ""
