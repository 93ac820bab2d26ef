"""Partial file of a download, and the journal beside it that tells which of its bytes were received.

NAME.partial is written in order. NAME.journal begins with the identity of the file; then come states of the receipt
("at", "state"), and after each sync of the partial file the number of bytes that are safe on the disk ("safe"). The
records behind the last "safe" one were not synced: a killed process leaves their bytes in the file, a power loss may
not, so they are checked before they are used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import StoreBusy
from ..files.atomic import sync_folder
from ..files.positioned import PositionedFile
from ..files.record_file import RecordFile, journal_path, partial_path
from .receipt import BLOCK_BYTES, Receipt, Span, is_state, spans
from .source import RemoteSource

_FORMAT = 1


class Partial:
    """Partial file of one download, locked by this process. `opened_partial` makes it.

    `start` is the offset at which this process resumed; `seams` are the offsets at which a connection went on from an
    earlier one; `repaired` is the offset before which all bytes were fetched a second time.
    """

    def __init__(self, path: Path, file: PositionedFile, records: RecordFile, receipt: Receipt) -> None:
        self.path = path
        self.file = file
        self.receipt = receipt
        self.start = receipt.at
        self.states: dict[int, bytes] = {}
        self.seams: set[int] = set()
        self.repaired = 0
        self._records = records
        self._recorded = self._safe = receipt.at

    def record(self, seams: Iterable[int] = ()) -> None:
        """Record the receipt of the bytes so far, without a sync. Raises OSError."""
        at, state = self.receipt.at, self.receipt.state()
        found = sorted(set(seams) - self.seams)
        self._records.append({"at": at, "state": state.hex()} | ({"seams": found} if found else {}), is_synced=False)
        self.seams.update(found)
        self.states[at] = state
        self._recorded = at

    def record_repaired(self, offset: int) -> None:
        """Record that all bytes before `offset` were fetched again. Raises OSError."""
        self.repaired = offset
        self._records.append({"repaired": offset}, is_synced=False)

    def save(self) -> None:
        """Sync the recorded bytes to the disk, and record that they are safe. Raises OSError."""
        if (at := self._recorded) != self._safe:
            self.file.sync()
            self._records.append({"safe": at})
            self._safe = at

    def spans(self) -> list[Span]:
        """Spans of the received bytes that can be checked, and fetched again, each alone."""
        at = self.receipt.at
        return spans({end: state for end, state in self.states.items() if end % BLOCK_BYTES == 0 or end == at})

    def go_back(self, offset: int) -> None:
        """Take the receipt back to `offset`, where a span begins: bytes behind it have changed. Raises OSError."""
        self.receipt = Receipt(self.file, offset, self.states.get(offset))

    def finish(self, sha256: str) -> None:
        """Give the complete file its name, and remove the journal. Raises OSError."""
        self.file.sync()
        self._records.append({"done": sha256})
        self.file.close()
        partial_path(self.path).replace(self.path)
        sync_folder(self.path.parent)
        self._records.remove()

    def discard(self) -> None:
        """Remove the partial file and the journal. Raises OSError."""
        self.file.close()
        partial_path(self.path).unlink(missing_ok=True)
        self._records.remove()


@contextlib.contextmanager
def opened_partial(source: RemoteSource, path: Path) -> Iterator[Partial]:
    """Partial file of `path`, locked by this process: resumed, or begun if there is none of this `source`.

    It stays when the block ends, unless it was finished or discarded. Raises OSError, and StoreBusy if another process
    has the lock.
    """
    with contextlib.ExitStack() as stack:
        records = RecordFile(journal_path(path))
        stack.callback(records.close)
        if not records.lock():
            raise StoreBusy(f"another process is fetching {path.name}", "wait for it, or end it")
        history = _History(records.read())
        is_resumed = history.is_of(source)
        if not is_resumed:
            if history.is_begun and partial_path(path).exists():
                source.tell(f"{path.name} starts over: {source.name} is not known to be the file that was begun")
            partial_path(path).unlink(missing_ok=True)
            records.restart(_identity(source))
        partial_path(path).touch()
        file = stack.enter_context(PositionedFile(partial_path(path), "r+"))
        yield _resumed(path, file, records, history) if is_resumed else Partial(path, file, records, Receipt(file))


def finished_sha256(path: Path) -> str | None:
    """The sha256 that a process recorded when it finished `path`, but was killed before it removed its journal."""
    if not journal_path(path).exists():
        return None
    records = RecordFile(journal_path(path))
    try:
        return _History(records.read()).done if records.lock() else None
    finally:
        records.close()


class _History:
    """What a journal tells."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.first: Mapping[str, Any] = records[0] if records else {}
        self.states: dict[int, bytes] = {}
        self.seams: set[int] = set()
        self.safe = self.repaired = 0
        self.done: str | None = None
        for record in records[1:]:
            self._add(record)

    @property
    def is_begun(self) -> bool:
        return bool(self.first)

    def is_of(self, source: RemoteSource) -> bool:
        """Whether its file is that of `source`. The same content may come from another place."""
        mine = _identity(source)
        if not self.is_begun or any(self.first.get(key) != mine[key] for key in ("format", "size", "sha256")):
            return False
        return source.is_pinned and (source.sha256 is not None or self.first.get("identity") == source.identity)

    def _add(self, record: Mapping[str, Any]) -> None:
        if "at" in record:
            # The bytes may have been recorded before they were repaired: the last state counts.
            self.states[record["at"]] = bytes.fromhex(record["state"])
            self.seams.update(record.get("seams", ()))
        self.safe = record.get("safe", self.safe)
        self.repaired = record.get("repaired", self.repaired)
        self.done = record.get("done", self.done)


def _resumed(path: Path, file: PositionedFile, records: RecordFile, history: _History) -> Partial:
    at = _last_received(file, history)
    file.truncate(at)
    partial = Partial(path, file, records, Receipt(file, at, history.states.get(at)))
    partial.states = {end: state for end, state in history.states.items() if end <= at}
    partial.seams = {seam for seam in history.seams if seam <= at} | ({at} if at else set())
    partial.repaired = min(history.repaired, at)
    return partial


def _last_received(file: PositionedFile, history: _History) -> int:
    """The last recorded place before which the file is known to hold what was received."""
    size = file.status().st_size
    places = sorted(at for at, state in history.states.items() if at <= size and is_state(state, at))
    last = max((at for at in places if at <= history.safe), default=0)
    for end in (at for at in places if at > history.safe):
        if not Span(last, end, history.states.get(last), history.states[end]).is_intact(file):
            break
        last = end
    return last


def _identity(source: RemoteSource) -> dict[str, Any]:
    return {"format": _FORMAT, "size": source.size, "sha256": source.sha256, "identity": source.identity}
