"""Picker of a stored conversation: a numbered list, and a question for a number or for words that filter it.

It only appends lines, and never redraws them: terminals disagree about the width of several scripts.
"""

from __future__ import annotations

from collections.abc import Callable

from ..chat import History
from ..chat.records import ConversationSummary
from ..chat.search import fold
from ..text.lines import one_line
from ..translations import _
from .printing import conversation_row, number_in, tell

_N_LISTED = 10
_MAX_WORDS = 60  # grapheme clusters of what was searched for, in a notice
_N_MATCHES = 1_000  # messages that a search for words reads


def pick(history: History, ask: Callable[[str], str | None], current: str = "") -> str | None:
    """Id of the conversation that the user picks, None for none. `ask` puts a question; `current` has a star.

    A number picks, words filter titles and messages, an empty line shows more and after the last leaves, as 0 and the
    end of input do. Raises HistoryError.
    """
    listed = history.conversations()
    if not listed:
        tell(_("no conversation is stored yet"))
        return None
    n_shown = _show(listed, 0, current)
    while True:
        answer = ask(_question(n_shown < len(listed)))
        words = (answer or "").strip()
        if answer is None or words == "0" or (not words and n_shown == len(listed)):
            return None
        if not words:
            n_shown = _show(listed, n_shown, current)
        elif (place := number_in(words, n_shown)) is not None:
            return listed[place].id
        elif found := matching(history, words):
            listed, n_shown = found, _show(found, 0, current)
        else:
            tell(_("no conversation holds {words}").format(words=f"'{one_line(words, _MAX_WORDS)}'"))


def matching(history: History, words: str) -> list[ConversationSummary]:
    """Conversations with all of the words in their title, or in one of their messages; the newest first."""
    folded = fold(words).split()
    ids = {one.conversation for one in history.search(words, _N_MATCHES)}
    return [
        one
        for one in history.conversations()
        if one.id in ids or (folded and all(word in fold(one.title) for word in folded))
    ]


def _show(listed: list[ConversationSummary], n_shown: int, current: str) -> int:
    """Print the next conversations of a list: how many are shown then."""
    until = min(n_shown + _N_LISTED, len(listed))
    for number, one in enumerate(listed[n_shown:until], n_shown + 1):
        print(conversation_row(number, one, one.id == current))
    return until


def _question(has_more: bool) -> str:
    if has_more:
        return _("number, or words to search for (Enter: more, 0: none)")
    return _("number, or words to search for (Enter: none)")
