"""Check of a file that has arrived, and its repair: bad bytes are fetched again, not the file."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable

from ..errors import HashMismatch
from .partial import Partial
from .receipt import BLOCK_BYTES, Span, parts
from .source import RemoteSource
from .transfer import Transfer

_MAX_TRIALS = 8  # hashes of the rest of the file after a block that came differently; each reads it from the disk


def check_arrived(source: RemoteSource, partial: Partial) -> str:
    """The sha256 of a partial file that has arrived whole, repaired where it is not what the source has.

    First the bytes of earlier runs are compared with their receipt. If the whole has another hash than the source's,
    blocks are fetched a second time: those where a connection went on from an earlier one, then all. Raises OSError,
    HubError, and HashMismatch if the hash is still another; then the partial file is discarded.
    """
    repair = _Repair(source, partial)
    repair.mend_disk(partial.start)
    if not repair.is_good():
        source.tell(f"{source.name} arrived damaged: its bad part is looked for, and fetched again")
        repair.mend_disk(source.size)
    if not repair.is_good():
        repair.fetch_again(repair.seam_spans())
    if not repair.is_good():
        repair.fetch_all_again()
    if not repair.is_good():
        expected, found = source.sha256 or source.blob_id or "", repair.found()
        partial.discard()
        raise HashMismatch(source.name, expected, found, source.wanted.endpoint)
    return partial.receipt.sha256()


class _Repair:
    def __init__(self, source: RemoteSource, partial: Partial) -> None:
        self._source = source
        self._partial = partial

    def is_good(self) -> bool:
        """Whether the bytes have the hash that the source lists, if it lists one."""
        return self.found() == (self._source.sha256 or self._source.blob_id or "")

    def found(self) -> str:
        """The file's hash, of the kind that the source lists; "" if it lists none."""
        if self._source.sha256:
            return self._partial.receipt.sha256()
        return self._git_blob_id() if self._source.blob_id else ""

    def mend_disk(self, end: int) -> None:
        """Fetch the blocks before `end` again that are not on the disk as they were received."""
        damaged = []
        for span in self._partial.spans():
            self._source.hub.network.stop.check(self._source.name)
            if span.start < end and not span.is_intact(self._partial.file):
                damaged.append(span)
        if damaged:
            n_blocks = "a block" if len(damaged) == 1 else f"{len(damaged)} blocks"
            self._source.tell(f"{self._source.name} changed on the disk: {n_blocks} of it will be fetched again")
            for span in damaged:
                self._fetch(span)
            self._hash_from(damaged[0].start)

    def seam_spans(self) -> list[Span]:
        """The blocks at which a connection went on from an earlier one."""
        seams = self._partial.seams
        return [span for span in self._partial.spans() if any(span.start <= seam <= span.end for seam in seams)]

    def fetch_again(self, spans: Iterable[Span]) -> None:
        """Fetch each of `spans` with a request of its own; if it differs, hash the file again from the first change."""
        changed = [span.start for span in spans if self._fetch(span)]
        if changed:
            self._hash_from(changed[0])

    def fetch_all_again(self) -> None:
        """Fetch the file again, block after block, until its hash is right; only blocks that differ are written."""
        todo = [span for span in self._partial.spans() if span.end > self._partial.repaired]
        changed: int | None = None
        n_trials = 0
        with contextlib.closing(self._source.transfer(todo[0].start if todo else 0, self._source.size)) as transfer:
            for span in todo:
                if self._replace(span, _read(transfer, span)):
                    changed = span.start if changed is None else changed
                    n_trials += 1
                if changed is not None and n_trials <= _MAX_TRIALS:
                    self._hash_from(changed)
                    changed = None
                    if self.is_good():
                        return
                self._partial.record_repaired(span.end)
        if changed is not None:
            self._hash_from(changed)

    def _fetch(self, span: Span) -> bool:
        """Fetch the bytes of `span` again: whether the file held others."""
        with contextlib.closing(self._source.transfer(span.start, span.end)) as transfer:
            return self._replace(span, _read(transfer, span))

    def _replace(self, span: Span, fresh: bytearray) -> bool:
        held = bytearray(len(fresh))
        n_held = self._partial.file.read_into(span.start, memoryview(held))
        if held == fresh and n_held == len(fresh):
            return False
        self._partial.file.write(span.start, memoryview(fresh))
        return True

    def _hash_from(self, offset: int) -> None:
        """Renew the receipt from the bytes on the disk behind `offset`."""
        partial = self._partial
        partial.go_back(offset)
        for start in range(offset, self._source.size, BLOCK_BYTES):
            self._source.hub.network.stop.check(self._source.name)
            for part in parts(partial.file, start, min(start + BLOCK_BYTES, self._source.size)):
                partial.receipt.update(part)
            partial.record()
        partial.save()

    def _git_blob_id(self) -> str:
        running = hashlib.sha1(f"blob {self._source.size}\0".encode(), usedforsecurity=False)
        for part in parts(self._partial.file, 0, self._source.size):
            running.update(part)
        return running.hexdigest()


def _read(transfer: Transfer, span: Span) -> bytearray:
    data = bytearray(span.end - span.start)
    rest = memoryview(data)
    while rest:
        rest = rest[transfer.readinto(rest) :]
    return data
