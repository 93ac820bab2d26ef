"""Body of an HTTP response, read into the reader's own buffers."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


class Body:
    """Body of `response`: bytes as they come.

    The HTTP client reads the beginning. Where only bytes of a known number follow, they are read from its socket: the
    client's parser would copy them twice, in steps of 64 KiB.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._chunks = response.iter_raw()
        self._rest = memoryview(b"")
        self._is_begun = False
        self._socket: socket.socket | None = None
        self._n_left = 0  # bytes to read from the socket

    def readinto(self, target: memoryview) -> int:
        """Read bytes into `target`: their number, 0 at the end. Raises the client's and the socket's errors."""
        if not self._rest and self._socket:
            count = _received(self._socket, target[: self._n_left]) if self._n_left else 0
            self._n_left -= count
            return count
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
            if not self._is_begun:
                self._begin()
        count = min(len(self._rest), len(target))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _begin(self) -> None:
        # The client's first chunk of a body with a known length is all that it has received of it.
        self._is_begun = True
        length = self._response.headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in self._response.headers:
            return
        if self._response.http_version not in ("HTTP/1.0", "HTTP/1.1"):
            return
        stream = self._response.extensions["network_stream"]
        opened = stream.get_extra_info("socket")
        # Behind an encrypted proxy the encryption of the file's server is not the socket's.
        if isinstance(opened, ssl.SSLSocket) or stream.get_extra_info("ssl_object") is None:
            self._socket = opened
            self._n_left = max(0, int(length) - len(self._rest))


def _received(opened: socket.socket, target: memoryview) -> int:
    """Read into `target` what is there, at least one byte: their number, 0 at the end.

    An encrypted socket gives a record of 16 KiB at a time: more follow as long as they are there.
    """
    count = opened.recv_into(target)
    if not isinstance(opened, ssl.SSLSocket):
        return count
    timeout = opened.gettimeout()
    with contextlib.suppress(OSError):  # nothing more now; or an error, which the next read will meet again
        opened.settimeout(0)
        while 0 < count < len(target) and (more := opened.recv_into(target[count:])):
            count += more
    with contextlib.suppress(OSError):
        opened.settimeout(timeout)
    return count
