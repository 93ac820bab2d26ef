"""Pulls from the loopback hub: a network without waits, and the terms of a repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

from seallm_edge.hub import Network, Patience

NAME = "SeaLLMs/tiny"
LICENSED = {"license": "other", "license_name": "seallms", "license_link": "https://example.org/LICENSE"}


def quick(endpoint: str | None = None) -> Network:
    """Network without waits between tries."""
    return Network(endpoint, patience=Patience(stall_seconds=5, retries=3, first_wait=0, longest_wait=0))


def sha256(path: Path) -> str:
    """sha256 of a file, by hashlib."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
