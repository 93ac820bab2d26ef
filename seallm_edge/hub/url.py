"""File at a URL, which may be that of a hub's file."""

from __future__ import annotations

import contextlib
import re
from email.message import Message
from urllib.parse import unquote, urlsplit

from ..errors import HubError, InvalidOption
from .addresses import HUB_HOSTS, Endpoint, endpoint_of, without_secrets
from .connection import Answer, Hub, check_allowed
from .file_names import safe_name
from .network import Network
from .patience import Retries, Trouble
from .refusals import Wanted
from .repository import open_repository
from .source import RemoteSource

_FILE_PAGE = re.compile(r"/([^/]+/[^/]+)/(?:resolve|blob|raw)/([^/]+)/(.+)")
_RANGE_TOTAL = re.compile(r"bytes 0-0/(\d+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPENING_RETRIES = 3


def open_url(url: str, network: Network | None = None) -> RemoteSource:
    """Open the file at an http(s) URL: its name, size and identity by a request for its first byte.

    The URL of a file on a hub opens it there, with its sha256. A hub's token is sent to the hub only. Raises
    InvalidOption for what is no URL, and HubError.
    """
    network = network or Network()
    if (file := _file_on_hub(url, network)) is not None:
        repository = open_repository(file[0], network)
        return repository.source(repository.file(file[1]))
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidOption(f"{without_secrets(url) or url!r} is no web address of a file", "give one with https://")
    check_allowed()
    hub = Hub(network, Endpoint(f"{parts.scheme}://{parts.netloc}"))
    wanted = Wanted(hub.endpoint, parts.hostname, "", safe_name(unquote(parts.path)), is_url=True)
    return _source(hub, url, wanted)


def _file_on_hub(url: str, network: Network) -> tuple[str, str] | None:
    """(ORG/NAME@REVISION, file name) of the URL of a file on huggingface.co or the network's hub."""
    try:
        parts = urlsplit(url)
        match = _FILE_PAGE.fullmatch(parts.path)
    except ValueError as error:
        raise InvalidOption(f"{url!r} is no web address of a file", "give one with https://") from error
    if match is None or parts.scheme not in ("http", "https"):
        return None
    own = urlsplit(endpoint_of(network.endpoint).address).netloc
    if parts.netloc not in (*HUB_HOSTS, own):
        return None
    return f"{match[1]}@{unquote(match[2])}", unquote(match[3])


def _source(hub: Hub, url: str, wanted: Wanted) -> RemoteSource:
    network, stop = hub.network, hub.network.stop.child()
    patience = network.patience.at_most(_OPENING_RETRIES)
    retries = Retries(patience, stop, network.on_trouble, without_secrets(url))
    while True:
        try:
            with contextlib.closing(hub.open(url, wanted, stop, "bytes=0-0")) as answer:
                return _described(hub, url, wanted, answer)
        except Trouble as trouble:
            stop.check(wanted.file, without_secrets(url))
            retries.wait_after(trouble)


def _described(hub: Hub, url: str, wanted: Wanted, answer: Answer) -> RemoteSource:
    headers = answer.headers
    tag = headers.get("etag", "")
    known_by = tag.removeprefix("W/") or headers.get("last-modified", "")
    linked = answer.told_by_hub.get("x-linked-etag", "").removeprefix("W/").strip('"')
    return RemoteSource(
        name=_name(headers.get("content-disposition", "")) or wanted.file,
        size=_size(answer, wanted),
        sha256=linked if _SHA256.fullmatch(linked) else None,
        identity=f"{without_secrets(url)} {known_by}".strip(),
        is_pinned=bool(known_by),
        url=url,
        wanted=wanted,
        hub=hub,
        tags={answer.host: tag} if tag and not tag.startswith("W/") else {},
    )


def _size(answer: Answer, wanted: Wanted) -> int:
    if answer.status == 206:
        match = _RANGE_TOTAL.fullmatch(answer.headers.get("content-range", ""))
        size = match[1] if match else ""
    else:
        size = answer.headers.get("content-length", "")
    if not size.isdecimal():
        problem = f"{answer.host} does not tell how long {wanted.file} is"
        raise HubError(problem, "use another server that has it", wanted.endpoint)
    return int(size)


def _name(disposition: str) -> str:
    """File name in a Content-Disposition header (ref: RFC 6266), made safe; "" if there is none."""
    message = Message()
    message["content-disposition"] = "".join(filter(str.isprintable, disposition))
    name = message.get_filename()
    return safe_name(name) if name else ""
