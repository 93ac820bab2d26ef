"""Transfer of a file's bytes in order; after a lost connection the next request resumes at the next byte.

Knows nothing of hashes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import HubError
from .addresses import without_secrets
from .connection import Answer, Hub
from .patience import Retries, Trouble
from .refusals import Wanted

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_SCRAP_BYTES = 1 << 16


@dataclass(frozen=True)
class ByteRange:
    """Byte range from `start` to before `end` of the file at `url`, of `size` bytes, with its sha256 if known."""

    url: str
    wanted: Wanted
    size: int
    sha256: str | None
    start: int
    end: int


class Transfer:
    """Transfer of a byte range from its start to its end. One thread reads; any other may close it.

    `seams` are the offsets at which a later connection went on from an earlier one. `tags` are the file's known ETags
    by host.
    """

    def __init__(self, hub: Hub, span: ByteRange, tags: Mapping[str, str] = MappingProxyType({})) -> None:
        self.position = span.start
        self.seams: list[int] = []
        self._hub = hub
        self._range = span
        network = hub.network
        self._stop = network.stop.child()
        self._retries = Retries(network.patience, self._stop, network.on_trouble, without_secrets(span.url))
        self._answer: Answer | None = None
        self._lost: Trouble | None = None  # what ended the last connection, if that was not told yet
        self._tags = dict(tags)
        self._reading = threading.Lock()

    def readinto(self, target: memoryview) -> int:
        """Read bytes into `target`: their number, at least 1. `target` is not empty and the end is not reached.

        Raises HubError when retries are exhausted, when the file has changed on the hub, and after `close`.
        """
        try:
            with self._reading:
                count = self._read(target[: self._range.end - self.position])
        finally:
            self._let_go_if_stopped()
        self.position += count
        self._retries.progressed()
        return count

    def read_more(self, target: memoryview) -> int:
        """Like `readinto`, on the present connection only: 0 if that is lost. The next `readinto` makes another one."""
        if self._answer is None or self._stop.is_set():
            return 0
        try:
            with self._reading:
                count = self._read_once(target[: self._range.end - self.position])
        except Trouble as trouble:
            self._disconnect()
            self._lost = trouble
            return 0
        finally:
            self._let_go_if_stopped()
        self.position += count
        return count

    def close(self) -> None:
        """Close the transfer, also while another thread reads. May be called twice."""
        self._stop.set()
        self._let_go_if_stopped()

    def _read(self, target: memoryview) -> int:
        while not self._stop.is_set():
            try:
                if self._lost is None:
                    return self._read_once(target)
                trouble, self._lost = self._lost, None
                raise trouble
            except Trouble as trouble:
                self._disconnect()
                if not self._stop.is_set():
                    self._retries.wait_after(trouble, f" at {_progress(self.position, self._range)}")
        raise HubError(f"the reading of {self._range.wanted.file} was ended", url=without_secrets(self._range.url))

    def _read_once(self, target: memoryview) -> int:
        if self._answer is None:
            self._answer = self._connected()
        if count := self._answer.readinto(target):
            return count
        raise Trouble(f"the connection to {self._answer.host} was lost")

    def _connected(self) -> Answer:
        first, last = self.position, self._range.end - 1
        if first > self._range.start:
            self.seams.append(first)
        span = ""
        if self._range.end < self._range.size:
            span = f"bytes={first}-{last}"
        elif first:
            span = f"bytes={first}-"
        answer = self._hub.open(self._range.url, self._range.wanted, self._stop, span)
        try:
            self._pass_over(answer, first - self._first_byte(answer))
        except BaseException:
            answer.close()
            raise
        return answer

    def _first_byte(self, answer: Answer) -> int:
        """Offset in the file of the answer's first byte. Raises HubError if the file has changed on the hub."""
        self._check_tags(answer)
        first, total = 0, answer.headers.get("content-length", "*")
        if answer.status == 206:
            match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
            if match is None or int(match[1]) != self.position:
                raise Trouble(f"{answer.host} sends another part than it was asked for")
            first, total = int(match[1]), match[2]
        for size in (total, answer.told_by_hub.get("x-linked-size", "*")):
            if size != "*" and size != str(self._range.size):
                raise self._changed(f"it is {size} bytes now, and was {self._range.size}")
        return first

    def _check_tags(self, answer: Answer) -> None:
        linked = answer.told_by_hub.get("x-linked-etag", "").removeprefix("W/").strip('"')
        if self._range.sha256 and len(linked) == 64 and linked != self._range.sha256:
            raise self._changed("its sha256 is another")
        tag = answer.headers.get("etag", "")
        # Several servers of one file may give it different ETags.
        if tag and not tag.startswith("W/") and self._tags.setdefault(answer.host, tag) != tag:
            raise self._changed("its ETag is another")

    def _changed(self, how: str) -> HubError:
        wanted = self._range.wanted
        problem = f"{wanted.file} of {wanted.repository} changed while it was read: {how}"
        return HubError(problem, "start again", url=without_secrets(self._range.url))

    def _pass_over(self, answer: Answer, n: int) -> None:
        """Skip `n` bytes that a server without range requests sends again."""
        scrap = memoryview(bytearray(min(n, _SCRAP_BYTES)))
        while n:
            count = answer.readinto(scrap[:n])
            if not count:
                raise Trouble(f"the connection to {answer.host} was lost")
            n -= count

    def _disconnect(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _let_go_if_stopped(self) -> None:
        # Of the reading and the closing thread, the later one finds the lock free and the signal set.
        if self._stop.is_set() and self._reading.acquire(blocking=False):
            try:
                self._disconnect()
            finally:
                self._reading.release()


def _progress(position: int, span: ByteRange) -> str:
    unit, bytes_of_unit = next(
        ((unit, n) for unit, n in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)) if span.size >= n), ("bytes", 1)
    )
    if bytes_of_unit == 1:
        return f"{position} of {span.size} bytes of {span.wanted.file}"
    done, total = position / bytes_of_unit, span.size / bytes_of_unit
    return f"{done:.1f} of {total:.1f} {unit} of {span.wanted.file}"
