"""HTTP statuses of a hub that are no success: which ones are temporary, and the error messages for the others."""

from __future__ import annotations

import datetime
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import HubError
from .patience import Trouble

LOG_IN_TO_NETWORK = "open a web page in a browser and log in to the network, then run the same command again"

_WITH_TOKEN = "log in with: hf auth login (or set HF_TOKEN)"
_NO_REPOSITORY = (
    "there is no repository {repository} on {host}, or it is private",
    f"check its name; for a private one {_WITH_TOKEN}",
)
_NO_FILE = ("{repository} has no file {file} at {revision}", "see its files: {endpoint}/{repository}/tree/{revision}")
# The hub's X-Error-Code, else the status → what happened, and what mends it.
# ref: huggingface_hub, hf_raise_for_status
_REFUSALS = {
    "GatedRepo": (
        "{repository} is gated: its licence must be accepted before its files can be read",
        f"accept it at {{endpoint}}/{{repository}}, then {_WITH_TOKEN}",
    ),
    "RepoNotFound": _NO_REPOSITORY,
    "RevisionNotFound": (
        "{repository} has no revision {revision}",
        "see its branches and tags: {endpoint}/{repository}/tree/main",
    ),
    "EntryNotFound": _NO_FILE,
    "401": _NO_REPOSITORY,
    "401 with a token": (
        "{host} refuses the token (status 401)",
        "make another at {endpoint}/settings/tokens, or go without: hf auth logout, and unset HF_TOKEN",
    ),
    "404": _NO_REPOSITORY,
    "404 of a file": _NO_FILE,
    "416": ("{file} of {repository} changed while it was read: it is shorter now", "start again"),
    "404 of a URL": ("{host} has no {file}", "check the address, or copy it again from the page where you found it"),
    "refused URL": (
        "{host} refuses {file} (status {status})",
        "copy its address again from the page where you found it: it may have expired, or ask to log in",
    ),
    "511": ("the network asks to log in (status 511)", LOG_IN_TO_NETWORK),
}
_PASSING = {408, 425, 429}


@dataclass(frozen=True)
class Wanted:
    """Requested resource: a repository of the hub at `endpoint`, at a revision, or a `file` of it.

    With `is_url` it is a file at a URL of the server `endpoint`, and `repository` is the server's name.
    """

    endpoint: str
    repository: str
    revision: str
    file: str = ""
    has_token: bool = False
    is_url: bool = False


def check_status(status: int, headers: Mapping[str, str], host: str, is_hub: bool, wanted: Wanted) -> None:
    """Raise for a status other than 200 and 206: Trouble if it may be temporary, else HubError.

    `is_hub` is False for the servers that a hub redirects to: their links expire.
    """
    if status in (200, 206):
        return
    if status in _PASSING or (status >= 500 and status != 511):
        raise Trouble(f"{host} answers with status {status}", _retry_after(headers.get("retry-after", "")))
    if not is_hub and 400 <= status < 500 and status != 416:
        raise Trouble(f"the link to {wanted.file} on {host} is no longer good (status {status})")
    facts = {"host": host, "status": status, **vars(wanted)}
    for key in (headers.get("x-error-code", ""), *_keys(status, wanted)):
        if key in _REFUSALS:
            message, hint = _REFUSALS[key]
            raise HubError(message.format(**facts), hint.format(**facts), url=wanted.endpoint)
    said = "".join(filter(str.isprintable, headers.get("x-error-message", "")))[:200]
    problem = f"{host} refuses {wanted.file or wanted.repository} (status {status}){said and f': {said}'}"
    raise HubError(problem, f"see {wanted.endpoint}/{wanted.repository} in a browser", url=wanted.endpoint)


def check_kind(headers: Mapping[str, str], host: str, wanted: Wanted) -> None:
    """Raise HubError if the body is not the file's bytes: a network's login page, or a compressed body."""
    name = wanted.file or "an answer"
    if headers.get("content-type", "").startswith("text/html") and not name.endswith((".html", ".htm")):
        raise HubError(f"{host} sends a web page instead of {name}", LOG_IN_TO_NETWORK, url=wanted.endpoint)
    if (packed := headers.get("content-encoding", "identity")) != "identity":
        problem = f"{host} sends {name} packed as {packed}, which was not asked for"
        raise HubError(problem, "use another network, or another mirror in HF_ENDPOINT", url=wanted.endpoint)


def _keys(status: int, wanted: Wanted) -> list[str]:
    if wanted.is_url and status not in (416, 511):
        return ["404 of a URL" if status in (404, 410) else "refused URL"]
    special = {(401, wanted.has_token): "401 with a token", (404, bool(wanted.file)): "404 of a file"}
    return [key for (case, is_so), key in special.items() if is_so and case == status] + [str(status)]


def _retry_after(value: str) -> float | None:
    """Seconds that the hub asks to wait, as a number or as a date (ref: RFC 9110, 10.2.3)."""
    if value.isdecimal():
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return (until - datetime.datetime.now(datetime.UTC)).total_seconds()
