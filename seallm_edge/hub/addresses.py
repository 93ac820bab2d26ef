"""Addresses of hubs and files: encrypted unless they are on this computer, and fingerprints of certificates."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ..errors import HubError

_DEFAULT_ENDPOINT = "https://huggingface.co"
HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_FINGERPRINT_LETTERS = 20  # of base32: 100 bits
_FINGERPRINT = re.compile(rf"[a-z2-7]{{{_FINGERPRINT_LETTERS}}}")


@dataclass(frozen=True)
class Endpoint:
    """Address of a hub, and the fingerprint of the only certificate it may have ("" for one of a known authority)."""

    address: str
    fingerprint: str = ""


def endpoint_of(chosen: str | None) -> Endpoint:
    """The `chosen` endpoint, else that of HF_ENDPOINT, else huggingface.co. Raises HubError for a bad fingerprint."""
    text = chosen or os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT
    address, mark, shown = text.partition("#")
    letters = shown.strip().replace("-", "").lower()
    if mark and not _FINGERPRINT.fullmatch(letters):
        problem = f"{text} does not end in a certificate's fingerprint: {shown!r}"
        raise HubError(problem, "copy the whole address that the share shows, with #xxxx-xxxx-xxxx-xxxx-xxxx", address)
    return Endpoint(address.rstrip("/"), letters)


def is_hub_host(address: str) -> bool:
    """Whether an address is that of huggingface.co, encrypted."""
    parts = urlsplit(address)
    return parts.scheme == "https" and parts.netloc.lower() in HUB_HOSTS


def fingerprint(certificate: bytes) -> str:
    """Fingerprint of a certificate in DER: 100 bits of its sha256, as xxxx-xxxx-xxxx-xxxx-xxxx."""
    letters = base64.b32encode(hashlib.sha256(certificate).digest()).decode("ascii").lower()[:_FINGERPRINT_LETTERS]
    return "-".join(letters[start : start + 4] for start in range(0, _FINGERPRINT_LETTERS, 4))


def has_fingerprint(certificate: bytes, expected: str) -> bool:
    """Whether a certificate in DER has the `expected` fingerprint, without its dashes."""
    return fingerprint(certificate).replace("-", "") == expected


def check_encrypted(url: str) -> None:
    """Raise HubError for an http URL of another computer."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname and not is_loopback(parts.hostname):
        problem = f"{parts.hostname} would be asked without encryption"
        raise HubError(problem, f"give its https:// address instead of http://{parts.hostname}", without_secrets(url))


def is_loopback(host: str) -> bool:
    """Whether a host is this computer."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def without_secrets(url: str) -> str:
    """URL without its user, password, query and fragment, where signatures are."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
