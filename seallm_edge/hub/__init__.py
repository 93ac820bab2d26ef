"""Hugging Face style hub: its files, streamed or downloaded, checked by sha256 over unreliable networks."""

from .addresses import fingerprint
from .digest import Sha256, new_sha256
from .downloading import download
from .network import Network
from .patience import Patience, Stop
from .probing import is_reachable, measured_speed
from .rate_limit import RateLimit, Traffic
from .repository import RemoteFile, Repository, open_repository
from .source import RemoteSource
from .stream import FileStream
from .url import open_url

__all__ = [
    "FileStream",
    "Network",
    "Patience",
    "RateLimit",
    "RemoteFile",
    "RemoteSource",
    "Repository",
    "Sha256",
    "Stop",
    "Traffic",
    "download",
    "fingerprint",
    "is_reachable",
    "measured_speed",
    "new_sha256",
    "open_repository",
    "open_url",
]
