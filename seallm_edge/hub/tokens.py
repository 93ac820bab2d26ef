"""The user's token for the hub, and to which hubs it may go."""

from __future__ import annotations

import os

from ..errors import HubError
from .addresses import Endpoint, is_hub_host


def token_for(endpoint: Endpoint) -> str | None:
    """The user's token, if it may go to `endpoint`: the saved one goes to huggingface.co alone.

    Another hub gets that of HF_TOKEN, and only where HF_ENDPOINT names this hub. Raises HubError.
    """
    if is_hub_host(endpoint.address):
        token = _saved()
    elif endpoint.address == os.environ.get("HF_ENDPOINT", "").rstrip("/"):
        token = "".join(os.environ.get("HF_TOKEN", "").split())
    else:
        return None
    if token and not (token.isascii() and token.isprintable()):
        raise HubError("the token for the hub holds characters that no token has", "log in again: hf auth login")
    return token or None


def _saved() -> str | None:
    import httpx2
    import huggingface_hub

    try:
        return huggingface_hub.get_token()
    except (huggingface_hub.errors.OIDCError, httpx2.HTTPError, OSError, ValueError) as error:
        raise HubError(f"the token for the hub cannot be read: {error}", "log in again: hf auth login") from error
