"""Probes of a network, answered within seconds: whether the hub can be reached, and how fast a file comes."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import replace

from ..errors import HubError
from .addresses import endpoint_of
from .connection import Hub, check_allowed
from .network import Network
from .patience import Patience
from .repository import Repository
from .source import RemoteSource

_PROBE_BYTES = 1 << 20
_PROBE_SECONDS = 2.0
_MIN_PROBED = 1 << 16  # bytes; fewer tell nothing of the speed
_BLOCK_BYTES = 1 << 16


def is_reachable(network: Network | None = None, seconds: float = 2.0) -> bool:
    """Whether the network's hub answers within `seconds`, whatever does not: name lookup, connection, TLS, server."""
    network = network or Network()
    try:
        endpoint = endpoint_of(network.endpoint)
        if not endpoint.fingerprint:
            check_allowed()
        hub = Hub(_hasty(network, seconds), endpoint)
    except HubError:
        return False
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(hub.answers(network.stop.child()))
        except HubError:
            answers.put(False)

    # A name lookup cannot be interrupted: its thread is left to end by itself.
    threading.Thread(target=ask, name="reach", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return False


def measured_speed(source: Repository | RemoteSource, network: Network | None = None) -> float | None:
    """Speed in bytes a second by reading at most 1 MiB, for at most 2 seconds, of a file; of a repository, its largest.

    None if too little came. The bytes are counted in the network's traffic.
    """
    if isinstance(source, Repository):
        if not source.files:
            return None
        source = source.source(max(source.files.values(), key=lambda file: file.size))
    network = network or source.hub.network
    hasty = replace(source, hub=source.hub.over(_hasty(network, _PROBE_SECONDS)))
    transfer = hasty.transfer(0, min(_PROBE_BYTES, source.size))
    timer = threading.Timer(_PROBE_SECONDS, transfer.close)
    timer.daemon = True
    buffer = memoryview(bytearray(_BLOCK_BYTES))
    times: list[tuple[float, int]] = []
    with contextlib.closing(transfer), contextlib.suppress(HubError):
        timer.start()
        while transfer.position < min(_PROBE_BYTES, source.size):
            transfer.readinto(buffer)
            times.append((time.monotonic(), transfer.position))
    timer.cancel()
    if not times or times[-1][1] < _MIN_PROBED or times[-1][0] <= times[0][0]:
        return None
    return (times[-1][1] - times[0][1]) / (times[-1][0] - times[0][0])


def _hasty(network: Network, seconds: float) -> Network:
    return replace(network, patience=Patience(stall_seconds=seconds, retries=0), on_trouble=None)
