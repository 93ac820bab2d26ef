"""Choice of one conversation by a name or an id that a user types. Knows no file."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import HistoryError, did_you_mean
from ..hints import Command, Hint
from .records import ConversationSummary
from .search import fold

LIST_THEM = Hint("see them all: {sessions}", sessions=Command("sessions"))
_MAX_SHOWN = 3


def named(summaries: Sequence[ConversationSummary], title_or_id: str) -> str | None:
    """Id of the conversation with exactly this id or title, case aside; None if there is none.

    Raises HistoryError for a title that several have.
    """
    wanted = fold(title_or_id)
    exact = [one for one in summaries if wanted in (one.id, fold(one.title))]
    return find(exact, title_or_id) if exact and wanted else None


def find(summaries: Sequence[ConversationSummary], name_or_id: str) -> str:
    """Id of the conversation with this title, or the only one whose id or title begins so; case does not matter.

    Raises HistoryError where none or several fit, and names the nearest.
    """
    wanted = fold(name_or_id)
    titles = {one.id: fold(one.title) for one in summaries}
    exact = [one for one in summaries if wanted in (one.id, titles[one.id])]
    begun = [one for one in summaries if one.id.startswith(wanted) or titles[one.id].startswith(wanted)]
    found = (exact or begun) if wanted else []
    if not found:
        nearest = did_you_mean(name_or_id, [*(one.title for one in summaries), *titles])
        raise HistoryError(f"no conversation has the title or id {name_or_id!r}{nearest}", LIST_THEM)
    if len(found) > 1:
        several = "have the title" if exact else "have a title or id that begins with"
        shown = ", ".join(f"{one.id} ({one.title})" for one in found[:_MAX_SHOWN])
        more = ", …" if len(found) > _MAX_SHOWN else ""
        raise HistoryError(f"{len(found)} conversations {several} {name_or_id!r}", f"give an id: {shown}{more}")
    return found[0].id
