"""Choice of one conversation by a name or an id that a user types. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import HistoryError, did_you_mean
from ..hints import Command, Hint
from ..text.lines import one_line
from .search import fold

LIST_THEM = Hint("see them all: {sessions}", sessions=Command("sessions"))
_MAX_SHOWN = 3


def named(titles: Mapping[str, str], title_or_id: str) -> str | None:
    """Id of the conversation with exactly this id or title, case aside; None if there is none. `titles` as for `find`.

    Raises HistoryError for a title that several have.
    """
    wanted = fold(title_or_id)
    exact = {id_: title for id_, title in titles.items() if wanted in (id_, fold(title))}
    return find(exact, title_or_id) if exact and wanted else None


def find(titles: Mapping[str, str], name_or_id: str) -> str:
    """Id of the conversation with this title, or the only one whose id or title begins so; case does not matter.

    `titles` are those of all conversations by id. Raises HistoryError where none or several fit, and names the nearest.
    """
    wanted = fold(name_or_id)
    folded = {id_: fold(title) for id_, title in titles.items()}
    exact = [id_ for id_, title in folded.items() if wanted in (id_, title)]
    begun = [id_ for id_, title in folded.items() if id_.startswith(wanted) or title.startswith(wanted)]
    found = (exact or begun) if wanted else []
    if not found:
        nearest = did_you_mean(name_or_id, [*titles.values(), *titles])
        raise HistoryError(f"no conversation has the title or id {name_or_id!r}{nearest}", LIST_THEM)
    if len(found) > 1:
        several = "have the title" if exact else "have a title or id that begins with"
        shown = ", ".join(f"{id_} ({one_line(titles[id_], 60)})" for id_ in found[:_MAX_SHOWN])
        more = ", …" if len(found) > _MAX_SHOWN else ""
        raise HistoryError(f"{len(found)} conversations {several} {name_or_id!r}", f"give an id: {shown}{more}")
    return found[0]
