"""Network as one task uses it: which hub, how fast, how patiently, how much so far, and how it is stopped."""

from __future__ import annotations

from dataclasses import dataclass, field

from .patience import OnTrouble, Patience, Stop
from .rate_limit import RateLimit, Traffic


@dataclass(frozen=True)
class Network:
    """Network of one task: one object for all its transfers.

    `endpoint` is the address of a hub; None means HF_ENDPOINT, else huggingface.co. One that ends in `#FINGERPRINT`
    (`fingerprint` of the server's certificate) trusts that certificate alone: a share on the local network. All
    transfers share `limit`, are counted in `traffic`, and end with HubError when `stop` is set. `on_trouble` gets a
    message before each retry, from the thread that reads.
    """

    endpoint: str | None = None
    limit: RateLimit | None = None
    patience: Patience = field(default_factory=Patience)
    on_trouble: OnTrouble | None = None
    traffic: Traffic = field(default_factory=Traffic)
    stop: Stop = field(default_factory=Stop)
