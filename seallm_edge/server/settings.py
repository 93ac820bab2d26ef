"""`ServerSettings`: address, access and limits of a server. Every default is written here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidOption

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServerSettings:
    """Settings of a server.

    host, port      address to listen on
    model           model that a request without a name gets; None takes the default chat model
    key             secret that requests must carry, `Authorization: Bearer KEY` or `x-api-key: KEY`; None asks for none
    origins         web origins besides this computer's own that a browser may call from, such as https://chat.example
    hosts           names besides this computer's own that a request may address
    keep_alive      idle seconds after which a model is unloaded; None keeps it
    allow_changes   whether requests may get and delete models
    shares_history  whether browsers on other computers read the chat history of this computer's user, and not their own
    max_body        bytes of a request
    max_requests    requests that may be under way at once; more get 503
    body_seconds    time for a request to arrive
    send_seconds    time that a reader may take for one piece of a response
    load_seconds    time that a request waits for a model to leave memory for its own
    loading         options of `SeaLLM` for every model, such as threads
    """

    host: str = "127.0.0.1"
    port: int = 11435
    model: str | None = None
    key: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    keep_alive: float | None = 300.0
    allow_changes: bool = False
    shares_history: bool = False
    max_body: int = 16 << 20
    max_requests: int = 128
    body_seconds: float = 30.0
    send_seconds: float = 60.0
    load_seconds: float = 30.0
    loading: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidOption(f"port is {self.port}", "give a number from 0 to 65535")
        if self.key is not None and len(self.key) < 8:
            raise InvalidOption("the key is shorter than 8 characters", "give a longer one, hard to guess")
        if self.key is None and not self.is_local:
            raise InvalidOption(
                f"{self.host} can be reached by other computers, and there is no key",
                "give a key, or listen on 127.0.0.1",
            )

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach the address."""
        return self.host in LOOPBACK or self.host.startswith("127.")
