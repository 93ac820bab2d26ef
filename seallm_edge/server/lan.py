"""Address of this computer on its network, and keys for those who may use it."""

from __future__ import annotations

import secrets
import socket

_ANYWHERE = ("192.0.2.1", 9)  # an address for documentation: only the route to it is looked up, nothing is sent


def lan_address() -> str:
    """IP address by which others on the network reach this computer; 127.0.0.1 without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ANYWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def new_key() -> str:
    """Key that nobody guesses, short enough to be typed on a phone: 80 bits."""
    return secrets.token_hex(10)
