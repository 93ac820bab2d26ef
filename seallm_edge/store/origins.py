"""Origins of models, as the index writes them: "hf:ORG/NAME@COMMIT", "share:HOST", a URL, "import:PATH"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ..hub import Network, Repository

_REPOSITORY = re.compile(r"hf:([^/@]+/[^/@]+)@(.*)")
_COMMIT_DIGITS = 12  # shown to people


def origin_of(repository: Repository) -> str:
    """Origin of what a repository of a hub gives: the repository at its commit."""
    return f"hf:{repository.id}@{repository.revision}"


def share_of(network: Network) -> str:
    """Origin of what a share on the local network gives; "" for a hub."""
    address, mark, _ = (network.endpoint or "").partition("#")
    return f"share:{urlsplit(address).hostname}" if mark else ""


def repository_of(origin: str) -> str:
    """Repository of an origin, "ORG/NAME"; "" for other origins."""
    found = _REPOSITORY.fullmatch(origin)
    return found[1] if found else ""


def short(origin: str) -> str:
    """Origin with the first digits of its commit, for people."""
    found = _REPOSITORY.fullmatch(origin)
    return f"hf:{found[1]}@{found[2][:_COMMIT_DIGITS]}" if found else origin
