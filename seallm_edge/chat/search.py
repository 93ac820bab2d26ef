"""Search index of the history: substrings in any script, as phrases of character bigrams in an FTS5 table.

Bigrams need no word breaks, which Thai, Lao, Khmer, Burmese and Chinese do not write, and find a word inside a longer
one (makan in dimakan). FTS5's own trigram tokenizer finds nothing for terms of one or two characters, as most Chinese
words are. The unit is the code point, not the grapheme cluster: the index must not depend on the version of the
segmentation. Without FTS5 a search reads all messages. Knows nothing of conversations.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Iterator

from ..text.unicode import graphemes, normalize

Row = tuple[int, str]  # id and folded content of a message

# Invisible characters without effect on a match: soft hyphen, zero-width spaces and joiners, directions, emoji styles.
_IGNORED = re.compile("[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff]")
# The tokenizer "ascii" splits at ASCII characters that are no letters or digits: they stand in the private use area.
_TOKEN_CHARACTERS = {code: 0xE000 + code for code in range(128) if not chr(code).isalnum()}
_END = "\ue080"  # after the last character, which has a bigram of its own with it
_MAX_BIGRAMS = 64  # of one term that the index looks up; the text itself decides on the rest
_MAX_TERMS = 64  # likewise
# The index finds a single character by all bigrams that begin with it: soon if it is rare. A frequent one is soon found
# in the latest messages.
_N_LATEST = 2000  # messages
_RARE = 0.05  # share of the latest messages
_PURGE_SECONDS = 1.0
_PAGES_A_STEP = 256
_BEFORE, _AFTER = 24, 60  # grapheme clusters of a snippet before and after the beginning of the first term

_TABLE = """CREATE VIRTUAL TABLE IF NOT EXISTS bigrams
    USING fts5 (text, content = '', columnsize = 0, tokenize = 'ascii')"""
_UNINDEXED = "FROM messages WHERE indexed = 0 AND state <> 'streaming'"


def fold(text: str) -> str:
    """Folded text, in which a search compares: NFC, caseless, no invisible characters, single spaces."""
    folded = _IGNORED.sub("", text)
    if not folded.isascii():
        folded = unicodedata.normalize("NFC", folded)
    folded = folded.casefold()
    if not folded.isascii():
        folded = unicodedata.normalize("NFC", folded)
    return " ".join(folded.split())


def terms_of(query: str) -> list[str]:
    """Search terms of a query, folded: its parts between spaces, each once."""
    return list(dict.fromkeys(fold(normalize(query)).split()))


@functools.cache
def has_fts5() -> bool:
    """Whether this SQLite has FTS5."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        sql = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
        return connection.execute(sql).fetchone() is not None


def prepare(connection: sqlite3.Connection) -> None:
    """Create the index of a file that has none, where SQLite has FTS5."""
    if has_fts5():
        connection.execute(_TABLE)


def add(connection: sqlite3.Connection, message: int, content: str) -> None:
    """Index a message, in the transaction that completes it. Without FTS5 it is left for a later `catch_up`."""
    if has_fts5():
        connection.execute("INSERT INTO bigrams (rowid, text) VALUES (?, ?)", (message, _bigrams(fold(content))))
        connection.execute("UPDATE messages SET indexed = 1 WHERE id = ?", (message,))


def forget(connection: sqlite3.Connection, message: int) -> None:
    """Remove a message from the index, before its content changes or it is deleted."""
    sql = "SELECT content FROM messages WHERE id = ? AND indexed = 1"
    for (content,) in connection.execute(sql, (message,)).fetchall():
        if has_fts5():
            sql = "INSERT INTO bigrams (bigrams, rowid, text) VALUES ('delete', ?, ?)"
            connection.execute(sql, (message, _bigrams(fold(_text(content)))))


def purge(connection: sqlite3.Connection) -> None:
    """Rewrite the index without what was removed, for a second at most: a large index keeps the rest a while longer.

    Until then FTS5 only marks entries as removed. ref: https://sqlite.org/fts5.html, "The 'merge' Command"
    """
    if not has_fts5():
        return
    deadline = time.monotonic() + _PURGE_SECONDS
    n_pages = -_PAGES_A_STEP  # a negative number includes the segments that need no merge yet
    while time.monotonic() < deadline:
        n_before = connection.total_changes
        connection.execute("INSERT INTO bigrams (bigrams, rank) VALUES ('merge', ?)", (n_pages,))
        if connection.total_changes - n_before < 2 and n_pages > 0:
            break
        n_pages = _PAGES_A_STEP


def has_unindexed(connection: sqlite3.Connection) -> bool:
    """Whether messages wait for `catch_up`: a program without FTS5 wrote them."""
    found = connection.execute(f"SELECT 1 {_UNINDEXED} LIMIT 1").fetchone()
    return found is not None and has_fts5()


def catch_up(connection: sqlite3.Connection) -> None:
    """Index all messages that are not indexed yet."""
    for message, content in connection.execute(f"SELECT id, content {_UNINDEXED}").fetchall():
        add(connection, message, _text(content))


def find(connection: sqlite3.Connection, terms: list[str], limit: int) -> list[int]:
    """Ids of at most `limit` messages in which every term occurs, the latest first."""
    if not has_fts5():
        return _first(_folded(_all(connection)), terms, limit)
    looked_up = [term for term in terms if len(term) > 1]
    characters = [term for term in terms if len(term) == 1]
    if characters:
        latest = [*_folded(_all(connection, _N_LATEST))]
        found = [] if looked_up else _first(latest, terms, limit)
        if len(found) == limit:
            return found
        counts = {one: sum(one in folded for _, folded in latest) for one in characters}
        rare = [one for one in characters if counts[one] <= len(latest) * _RARE]
        looked_up += rare or ([] if looked_up else [min(characters, key=counts.__getitem__)])
    sql = """SELECT messages.id, messages.content FROM bigrams JOIN messages ON messages.id = bigrams.rowid
        WHERE bigrams MATCH ? ORDER BY bigrams.rowid DESC"""
    match = " ".join(map(_phrase, looked_up[:_MAX_TERMS]))
    return _first(_folded(connection.execute(sql, (match,))), terms, limit)


def snippet(content: str, term: str) -> str:
    """One line of `content` around the first occurrence of a folded `term`, in whole grapheme clusters."""
    words = content.split()
    first = next((number for number, word in enumerate(words) if term in fold(word)), 0)
    begin = max(0, first - _BEFORE)
    clusters = graphemes(" ".join(words[begin : first + _AFTER]))
    n_before = len(graphemes(" ".join(words[begin:first])))
    at = n_before + _cluster_of(term, clusters[n_before:])
    start, end = max(0, at - _BEFORE), min(at + _AFTER, len(clusters))
    if start and " " in clusters[start - 1 : at]:  # cut between words where there are spaces
        start = clusters.index(" ", start - 1)
    if end < len(clusters) and " " in clusters[at : end + 1]:
        end -= clusters[at : end + 1][::-1].index(" ")
    opening = "…" if start or begin else ""
    closing = "…" if end < len(clusters) or first + _AFTER < len(words) else ""
    return opening + "".join(clusters[start:end]).strip() + closing


def _cluster_of(term: str, clusters: list[str]) -> int:
    """Number of the cluster in which the first occurrence of `term` begins; 0 if there is none."""
    folded = [fold(cluster) for cluster in clusters]
    position = "".join(folded).find(term)
    ends = itertools.accumulate(map(len, folded))
    return next((number for number, end in enumerate(ends) if end > position), 0)


def _first(rows: Iterable[Row], terms: list[str], limit: int) -> list[int]:
    """Ids of the first `limit` rows in which every term occurs."""
    found = (message for message, folded in rows if all(term in folded for term in terms))
    return [*itertools.islice(found, limit)]


def _folded(rows: Iterable[tuple[int, object]]) -> Iterator[Row]:
    return ((message, fold(_text(content))) for message, content in rows)


def _text(content: object) -> str:
    """Content as the file holds it. Raises sqlite3.DatabaseError if it is no text, in a damaged file."""
    if not isinstance(content, str):
        raise sqlite3.DatabaseError(f"the content of a message is {type(content).__name__}")
    return content


def _all(connection: sqlite3.Connection, limit: int = -1) -> sqlite3.Cursor:
    """Ids and contents of the latest messages; of all if `limit` is negative."""
    sql = "SELECT id, content FROM messages WHERE state <> 'streaming' ORDER BY id DESC LIMIT ?"
    return connection.execute(sql, (limit,))


def _bigrams(folded: str) -> str:
    """Tokens of the index for a folded text."""
    text = folded.translate(_TOKEN_CHARACTERS) + _END
    return " ".join(map(str.__add__, text, text[1:]))


def _phrase(term: str) -> str:
    """FTS5 expression for a term. No character of it has a meaning there: see `_TOKEN_CHARACTERS`."""
    text = term.translate(_TOKEN_CHARACTERS)[: _MAX_BIGRAMS + 1]
    if len(text) == 1:
        return f'"{text}"*'
    return f'"{" ".join(map(str.__add__, text, text[1:]))}"'
