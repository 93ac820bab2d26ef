"""File at a URL."""

from __future__ import annotations

from .network import Network
from .source import RemoteSource


def open_url(url: str, network: Network | None = None) -> RemoteSource:
    """Open the file at `url`. Raises HubError."""
    raise NotImplementedError
