"""Source of a download: one file of a repository, or at a URL, as it was when it was opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .connection import Hub
from .refusals import Wanted
from .transfer import ByteRange, Transfer


@dataclass(frozen=True, kw_only=True)
class RemoteSource:
    """Source of a download: a safe file name, bytes, the content's sha256 where it is known.

    `identity` tells this content from another: the repository with its commit, or the URL without its query (where
    signatures are) with the ETag. `is_pinned` is False for a URL whose server tells nothing to know the content by.
    """

    name: str
    size: int
    sha256: str | None
    identity: str
    is_pinned: bool = True
    blob_id: str | None = field(default=None, repr=False)
    url: str = field(repr=False, compare=False)
    wanted: Wanted = field(repr=False, compare=False)
    hub: Hub = field(repr=False, compare=False)
    tags: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)  # ETags by host

    def transfer(self, start: int, end: int) -> Transfer:
        """Transfer of the bytes from `start` to before `end`. The first read sends the request."""
        return Transfer(self.hub, ByteRange(self.url, self.wanted, self.size, self.sha256, start, end), self.tags)

    def tell(self, message: str) -> None:
        """Give the user a message about trouble."""
        if self.hub.network.on_trouble:
            self.hub.network.on_trouble(message)
