"""Download of one file to the disk, resumable after a kill or a power loss, and checked by sha256.

One thread fetches and writes, one hashes what was written, one syncs and journals twice a second; the caller's thread
reports progress, so that Ctrl-C is heard at once on every system.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..files.disk_space import check_space, translated_errors
from ..files.hashes import sha256_of
from ..files.record_file import journal_path, partial_path
from ..hints import Hint
from .partial import Partial, finished_sha256, opened_partial
from .receipt import BLOCK_BYTES
from .repair import check_arrived
from .source import RemoteSource
from .transfer import Transfer

Progress = Callable[[int, int], None]  # bytes received and hashed so far, bytes in all

_BUFFER_BYTES = 1 << 19
_N_BUFFERS = 6
_WRITE_SECONDS = 0.05  # bytes of a slow network are written, and recorded without a sync, at least so often
_MIN_RECORDED = 1 << 17  # bytes between two records, so that the journal of a slow transfer stays small
_SAVE_SECONDS = 0.5  # between syncs: what a power loss costs
_REPORT_SECONDS = 0.1
_END_SECONDS = 1.0  # for threads that were told to end; one in a name lookup cannot hear it
_ELSEWHERE = Hint("make it writable, or set SEALLM_HOME to a folder on another disk")
_FREE = Hint("free {missing}, or set SEALLM_HOME to a folder on another disk")


def download(source: RemoteSource, path: Path, *, progress: Progress | None = None) -> str:
    """Download `source` to `path`, by way of `path`.partial and `path`.journal: the sha256 of its content.

    Resumes where an earlier call for the same content was ended in any way. `progress` is called from this thread, ten
    times a second, with the bytes received and in all. Bytes that were damaged on the way or on the disk are fetched
    again. Raises HubError (HashMismatch if even that does not help), ConversionError if the disk is full or cannot be
    written, and StoreBusy while another process fetches the same file.
    """
    report = progress or (lambda _done, _size: None)
    with translated_errors(path, source.size, [partial_path(path)], _ELSEWHERE):
        path.parent.mkdir(parents=True, exist_ok=True)
        if (found := _complete_already(source, path)) is not None:
            report(source.size, source.size)
            return found
        with opened_partial(source, path) as partial:
            if not partial.start and (found := _complete_already(source, path)) is not None:
                partial.discard()  # another process has just finished it
                return found
            partial.file.check_limit(source.size)
            check_space(path, source.size - partial.start, hint=_FREE)
            _Arrival(source, partial).run(report)
            sha256 = check_arrived(source, partial)
            partial.finish(sha256)
    return sha256


def _complete_already(source: RemoteSource, path: Path) -> str | None:
    """The sha256 of the file at `path` if it is this content, as after a kill behind the last step."""
    if not path.is_file() or path.stat().st_size != source.size:
        return None
    expected = source.sha256 or finished_sha256(path)
    if expected is None or sha256_of(path) != expected:
        return None
    journal_path(path).unlink(missing_ok=True)
    return expected


class _Arrival:
    """Arrival of the bytes that are missing in a partial file."""

    def __init__(self, source: RemoteSource, partial: Partial) -> None:
        self._source = source
        self._partial = partial
        self._transfer: Transfer = source.transfer(partial.start, source.size)
        self._free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._writing = threading.Lock()
        self._errors: list[BaseException] = []
        for _ in range(_N_BUFFERS):
            self._free.put(bytearray(_BUFFER_BYTES))

    def run(self, report: Progress) -> None:
        """Receive all bytes. However it ends, what was received is recorded and synced."""
        threads = [
            threading.Thread(target=self._caught, args=(work,), name=name, daemon=True)
            for name, work in (("fetch", self._fetch), ("hash", self._hash), ("save", self._keep_saving))
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(threads[1], report)
        finally:
            self._end(threads)
        if self._errors:
            raise self._errors[0]
        report(self._partial.receipt.at, self._source.size)

    def _watch(self, hashing: threading.Thread, report: Progress) -> None:
        stop = self._source.hub.network.stop
        while hashing.is_alive() and not self._errors:
            stop.check(self._source.name)
            report(self._partial.receipt.at, self._source.size)
            hashing.join(_REPORT_SECONDS)

    def _end(self, threads: list[threading.Thread]) -> None:
        fetching, hashing, saving = threads
        self._transfer.close()
        self._free.put(None)
        fetching.join(_END_SECONDS)
        with self._writing:
            self._ending.set()
        self._written.put(None)
        hashing.join()
        saving.join()
        if self._partial.receipt.at > self._partial.start:
            self._partial.record(self._transfer.seams)
            self._partial.save()

    def _caught(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            self._errors.append(error)

    def _fetch(self) -> None:
        position = self._partial.start
        try:
            while position < self._source.size and (buffer := self._free.get()) is not None:
                room = min(len(buffer), BLOCK_BYTES - position % BLOCK_BYTES, self._source.size - position)
                n = self._fill(memoryview(buffer)[:room])
                with self._writing:
                    if self._ending.is_set():  # the file may be closed
                        return
                    self._partial.file.write(position, memoryview(buffer)[:n])
                self._written.put((buffer, n))
                position += n
        finally:
            self._written.put(None)

    def _fill(self, target: memoryview) -> int:
        """Read into `target` until it is full, the connection is lost, or the bytes have waited long enough."""
        n = self._transfer.readinto(target)
        until = time.monotonic() + _WRITE_SECONDS
        while n < len(target) and time.monotonic() < until and (more := self._transfer.read_more(target[n:])):
            n += more
        return n

    def _hash(self) -> None:
        recorded_at, recorded = time.monotonic(), self._partial.start
        while (arrived := self._written.get()) is not None:
            buffer, n = arrived
            receipt = self._partial.receipt
            receipt.update(memoryview(buffer)[:n])
            self._free.put(buffer)
            is_due = receipt.at - recorded >= _MIN_RECORDED and time.monotonic() - recorded_at >= _WRITE_SECONDS
            if is_due or receipt.at % BLOCK_BYTES == 0 or receipt.at == self._source.size:
                self._partial.record(self._transfer.seams)
                recorded_at, recorded = time.monotonic(), receipt.at

    def _keep_saving(self) -> None:
        while not self._ending.wait(_SAVE_SECONDS):
            self._partial.save()
