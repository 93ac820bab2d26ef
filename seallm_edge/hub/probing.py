"""Probes of a network: whether a hub answers, and how fast a file comes."""

from __future__ import annotations

from .network import Network
from .repository import Repository
from .source import RemoteSource


def is_reachable(network: Network | None = None, seconds: float = 2.0) -> bool:
    """Whether the hub answers within `seconds`."""
    raise NotImplementedError


def measured_speed(source: Repository | RemoteSource, network: Network | None = None) -> float | None:
    """Bytes a second of a short read."""
    raise NotImplementedError
