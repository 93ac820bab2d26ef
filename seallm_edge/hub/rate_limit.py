"""Rate limit of a user's network, shared by all transfers, and the count of bytes that came over it.

Knows nothing of requests.
"""

from __future__ import annotations

import threading
import time

from ..errors import InvalidOption
from .patience import Stop

# Each read takes at most so many seconds of the limit, so that slow transfers are smooth.
_SECONDS_OF_A_READ = 0.05
_MIN_READ = 512  # bytes
# Late wake-ups may be caught up by so many seconds; a longer stall is not followed by a burst.
_MAX_CATCH_UP = 0.1
_MIN_RATE = 1000  # bytes a second
_MIN_BUFFER, _MAX_BUFFER = 1 << 14, 1 << 22  # bytes


class RateLimit:
    """Limit of `bytes_per_second`, which any number of threads share."""

    def __init__(self, bytes_per_second: float) -> None:
        """Raises InvalidOption below 1000 bytes a second."""
        if not bytes_per_second >= _MIN_RATE:
            problem = f"{bytes_per_second:g} bytes a second are no useful limit"
            raise InvalidOption(problem, f"give at least {_MIN_RATE}")
        self.bytes_per_second = float(bytes_per_second)
        self._free_at = 0.0  # monotonic time at which all granted reads are paid
        self._lock = threading.Lock()

    @property
    def receive_buffer(self) -> int:
        """Bytes that the system may hold for a connection before they are read: those of a second."""
        return min(max(_MIN_BUFFER, int(self.bytes_per_second)), _MAX_BUFFER)

    def grant(self, n: int, stop: Stop) -> int:
        """Number of bytes, at most `n`, that may be read now; waits for its turn, or until `stop` is set."""
        granted = min(n, max(_MIN_READ, int(self.bytes_per_second * _SECONDS_OF_A_READ)))
        with self._lock:
            now = time.monotonic()
            start = max(self._free_at, now - _MAX_CATCH_UP)
            self._free_at = start + granted / self.bytes_per_second
        if start > now:
            stop.sleep(start - now)
        return granted

    def give_back(self, n: int) -> None:
        """Return `n` granted bytes that did not come."""
        with self._lock:
            self._free_at -= n / self.bytes_per_second


class Traffic:
    """Count of the bytes of all bodies received so far, over any number of threads."""

    def __init__(self) -> None:
        self._n_bytes = 0
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """Bytes received so far."""
        return self._n_bytes

    def add(self, n: int) -> None:
        """Count `n` more bytes."""
        with self._lock:
            self._n_bytes += n
