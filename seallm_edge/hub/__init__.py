"""Hugging Face style hub: the files of a repository, streamed and checked by sha256 over unreliable networks."""

from .digest import Sha256, new_sha256
from .patience import Patience
from .repository import RemoteFile, Repository, open_repository
from .stream import FileStream

__all__ = ["FileStream", "Patience", "RemoteFile", "Repository", "Sha256", "new_sha256", "open_repository"]
